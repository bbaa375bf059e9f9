"""Work on a ticket: taking it, its moves, parts from stock, and what was found and done."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from app.errors import Invalid
from app.ids import Id
from models.diagnosis import OverrideReason
from models.enums import ResolutionOutcome, ResolutionType, TicketStatus
from models.part import PartUsage
from models.technician_action import ActionContent, ActionPart
from models.ticket import Resolution, Ticket
from models.types import Line
from routes.portal import render
from routes.portal.forms import Form, read
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.picking import looking, settle, shelf
from routes.portal.recording import prefill, session_to_record
from routes.portal.tickets import (
    CurrentTicket,
    actions_on,
    changed_since,
    parts_of,
    stock_for,
    suspects_of,
    ticket_page,
)
from routes.portal.uploads import Uploads
from routes.portal.visit import Visit, see_other
from services.diagnosis.guided import drafts, guard, overrides, sessions
from services.diagnosis.guided.guard import Override
from services.repairs import actions, ticket_moves, tickets, usage
from services.repairs.usage import Settling
from services.repairs.visibility import load_visible

router = page_router()

OUTCOMES = tuple(ResolutionOutcome)
MINUTES_PER_HOUR = 60


@router.post("/tickets/{ticket_id}/take")
async def take(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    """Assign the ticket to oneself."""
    return await _move(visit, ticket, lambda fresh: ticket_moves.assign(fresh, visit.actor.id))


@router.post("/tickets/{ticket_id}/progress")
async def progress(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    """Start, wait for parts, go on."""
    status = TicketStatus.pending_parts if visit.form.get("to") == "pending_parts" else TicketStatus.in_progress
    return await _move(visit, ticket, lambda fresh: ticket_moves.progress(fresh, status, visit.form.said("note")))


@router.post("/tickets/{ticket_id}/close")
async def close(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    return await _move(visit, ticket, lambda fresh: ticket_moves.close(fresh, visit.form.said("note")))


@router.post("/tickets/{ticket_id}/reopen")
async def reopen(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    """The vehicle came back. The reason is what the next technician begins with."""
    window = timedelta(days=visit.settings.return_window_days)

    async def again(fresh: Ticket) -> Ticket:
        reason = visit.form.said("reason", needed=True, kind=Line)
        return await ticket_moves.reopen(fresh, reason, return_window=window)

    return await _move(visit, ticket, again)


async def _move(visit: Visit, ticket: Ticket, change: Callable[[Ticket], Awaitable[Ticket]]) -> Response:
    async def work() -> Response:
        fresh = await load_visible(ticket.id)
        tickets.expect_revision(fresh, visit.form.revision())
        await change(fresh)
        return see_other(f"/tickets/{ticket.id}")

    return await submit(visit, work, lambda: _again(visit, ticket.id))


async def _again(visit: Visit, ticket_id: str, *, status: int = 200) -> Response:
    """The ticket as it stands now, with what was typed and why it was not taken."""
    ticket = await load_visible(ticket_id)
    visit.form.notice = _notice(ticket, visit.form)
    response = await ticket_page(visit, ticket)
    response.status_code = status
    return response


def _notice(ticket: Ticket, form: Form) -> str:
    """Why the form was not taken, in one sentence."""
    missed = render.text("missed.notice") if "missed_checks" in form.told else ""
    return changed_since(ticket, form) or missed or form.notice


@router.post("/tickets/{ticket_id}/parts")
async def take_part(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    """Take pieces of a part from stock for this ticket."""
    form = visit.form
    if looking(form):
        return await _again(visit, ticket.id)

    async def work() -> Response:
        if ticket.site_id is not None:
            await settle(form, "part_id", shelf(ticket.site_id))
        if not form.get("part_id"):
            raise Invalid.field("part_id", render.text("form.required"))
        await _take(form, ticket)
        return see_other(f"/tickets/{ticket.id}")

    return await submit(visit, work, lambda: _again(visit, ticket.id))


async def _take(form: Form, ticket: Ticket) -> PartUsage:
    """Take the pieces that the form names; an expensive part not before the check that may spare it."""
    quantity = form.get("quantity", "1")
    if not quantity.isascii() or not quantity.isdigit() or not 0 < int(quantity) <= 1000:
        raise Invalid.field("quantity", render.text("form.count"))
    return await overrides.allocate(ticket.id, form.get("part_id"), int(quantity), _override(form))


def _override(form: Form) -> Override | None:
    """The reason for which somebody goes on without a check; None, if another one is not put into words."""
    reason = form.get("missed_checks_reason")
    if reason not in list(OverrideReason):
        return None
    words = form.said("missed_checks_note")
    if reason == OverrideReason.other and not words:
        form.errors["missed_checks_note"] = render.text("form.required")
        return None
    return Override(OverrideReason(reason), words)


@router.post("/tickets/{ticket_id}/parts/{usage_id}")
async def settle_part(visit: CurrentVisit, ticket: CurrentTicket, usage_id: Annotated[Id, Path()]) -> Response:
    """Say what became of the pieces: fitted, back to stock, broken."""
    how = visit.form.get("how")

    async def work() -> Response:
        if how not in list(Settling):
            raise Invalid.field("how", render.text("form.required"))
        await usage.settle(usage_id, Settling(how))
        return see_other(f"/tickets/{ticket.id}")

    return await submit(visit, work, lambda: _again(visit, ticket.id))


@router.get("/tickets/{ticket_id}/action")
async def new_action(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    return await _action_page(visit, ticket)


@router.post("/tickets/{ticket_id}/action")
async def record_action(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    """Record what was found and done; parts that were fitted and the ticket's end go with it, or nothing does."""
    form = visit.form
    uploads = Uploads(visit, ticket, workshop_only=True)  # as all that an action says

    async def work() -> Response:
        fresh = await load_visible(ticket.id)
        tickets.expect_revision(fresh, form.revision())
        fitted = form.all("fitted")
        if form.get("part_id"):
            fitted.append((await _take(form, fresh)).id)
        photos = [photo.id for photo in await uploads.attach(fresh)]
        content = read(ActionContent, {**await _action_values(form, fresh, set(fitted)), "photos": photos})
        session_id = form.get("diagnosis_session_id")
        if session_id and not form.checked("without_diagnosis"):
            content = drafts.filled(content, await sessions.get(session_id))
        if form.checked("resolve"):
            # Before it is recorded: what this form claims of the repair is no evidence for itself.
            successful = content.resolution_outcome is ResolutionOutcome.success
            passed = await guard.before_resolving(
                fresh, content.failure_card_used, successful=successful, override=_override(form)
            )
            await overrides.note(passed)
        await actions.record(content)
        for usage_id in fitted:
            await usage.settle(usage_id, Settling.used)
        if form.checked("resolve"):
            await ticket_moves.resolve(await load_visible(ticket.id), _resolution(content))
        return see_other(f"/tickets/{ticket.id}")

    async def again() -> Response:
        fresh = await load_visible(ticket.id)
        form.notice = _notice(fresh, form)
        return await _action_page(visit, fresh)

    return await submit(visit, work, again, prepare=uploads.take_in)


async def _action_page(visit: Visit, ticket: Ticket) -> Response:
    asked, form = visit.request.query_params, visit.form
    _, suspects = await suspects_of(ticket)
    session = await session_to_record(ticket, await actions_on(ticket), asked.get("session", ""))
    start = prefill(suspects, session)
    chosen = asked.get("card") or start.card_id or ticket.selected_failure_card or ""
    likely = [one for one in start.choices if one.likely]
    suspected = [one.card_id for one in likely]
    return visit.page(
        "action.html",
        ticket=ticket,
        here=render.link(f"/tickets/{ticket.id}/action", asked),
        start=start,
        likely=likely,
        unlikely=[one for one in start.choices if not one.likely],
        chosen=chosen,
        known={one.card_id for one in start.choices},
        new=form.checked("new_failure_discovered", default=asked.get("new") == "yes"),
        outcomes=OUTCOMES,
        usage=[one for one in await parts_of(ticket) if usage.outstanding(one)],
        outstanding=usage.outstanding,
        # Not all that the workshop has: the page must load quickly, and the ticket's own page offers the rest.
        stock=[(part, True) for part in await stock_for(ticket, suspected)],
    )


async def _action_values(form: Form, ticket: Ticket, fitted: set[str]) -> dict[str, object]:
    card = form.get("failure_card_used")
    minutes = form.get("resolution_time_minutes")
    discovered = form.checked("new_failure_discovered")
    outcome = form.get("resolution_outcome")
    shown = {name.removeprefix("title_"): form.get(name) for name in form.values if name.startswith("title_")}
    return {
        "ticket_id": ticket.id,
        "failure_cards_suggested": list(shown),
        "failure_card_used": card,
        "failure_card_helpful": {"yes": True, "no": False}.get(form.get("failure_card_helpful")) if card else None,
        "rejected_hypotheses": [
            {"hypothesis": title[:500], "card_id": card_id, "reason_rejected": form.get(f"because_{card_id}")}
            for card_id, title in shown.items()
            if card_id in form.all("ruled_out")
        ],
        "diagnostic_steps_performed": form.lines("diagnostic_steps_performed"),
        "resolution_steps_followed": form.lines("resolution_steps_followed"),
        "parts_used": [
            ActionPart(
                part_name=one.part_name,
                part_number=one.part_number,
                part_id=one.part_id,
                usage_id=one.id,
                quantity=usage.outstanding(one),
                is_substitute=one.is_substitute,
                substitute_for=one.substitute_for[:120],
            ).model_dump()
            for one in await parts_of(ticket)
            if one.id in fitted
        ],
        "diagnostic_time_minutes": form.get("diagnostic_time_minutes"),
        "resolution_time_minutes": minutes,
        "resolution_outcome": outcome,
        "issue_resolved": outcome == ResolutionOutcome.success,
        "escalation_reason": form.get("escalation_reason"),
        "new_failure_discovered": discovered,
        "suggest_new_card": discovered,
        "new_failure_description": form.get("new_failure_description"),
        "new_failure_root_cause": form.get("new_failure_root_cause"),
        "new_failure_resolution": form.get("new_failure_resolution"),
        "technician_notes": form.get("technician_notes"),
    }


def _resolution(action: ActionContent) -> Resolution:
    """The ticket's end as the action tells it."""
    return Resolution(
        resolution="\n".join(action.resolution_steps_followed) or action.technician_notes,
        resolution_type=ResolutionType.workshop,
        selected_failure_card=action.failure_card_used,
        labor_hours=round(action.resolution_time_minutes / MINUTES_PER_HOUR, 2),
        resolution_successful=action.resolution_outcome is ResolutionOutcome.success,
        new_failure_discovered=action.new_failure_discovered,
    )
