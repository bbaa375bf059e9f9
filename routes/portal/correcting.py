"""Correcting what was taken in with a ticket. Whoever changed it meanwhile loses nothing, and neither does who types:
the form holds what each field was when it was shown, so that both changes can be told apart field by field."""

from enum import StrEnum
from typing import Any

from starlette.responses import Response

from app.errors import Stale
from models.enums import Priority, TicketCategory, VehicleType
from models.ticket import Correction, Ticket, TicketContent
from routes.portal import render
from routes.portal.forms import Form, read
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.tickets import CurrentTicket
from routes.portal.visit import Visit, see_other
from services.repairs import tickets
from services.repairs.visibility import load_visible
from services.three_way import Line, by_field

router = page_router()

FIELDS = (
    "title",
    "description",
    "category",
    "priority",
    "error_codes_reported",
    "vehicle_type",
    "vehicle_make",
    "vehicle_model",
    "vehicle_year",
    "vehicle_number",
    "vehicle_mileage_km",
    "vehicle_firmware",
    "customer_name",
    "customer_contact",
)
BEFORE, CHOICE = "was_", "pick_"
"""What a field was when the form was shown; which of both is right."""
MINE, THEIRS = "mine", "theirs"


class ChangedMeanwhile(Stale):
    """Both changed the same fields: the page offers both."""


@router.get("/tickets/{ticket_id}/edit")
async def show_form(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    return _page(visit, ticket, [])


@router.post("/tickets/{ticket_id}/edit")
async def correct(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    form = visit.form

    async def work() -> Response:
        fresh = await load_visible(ticket.id)
        lines = _lines(fresh, form)
        if any(line.conflict and not _chosen(form, fresh, line) for line in lines):
            raise ChangedMeanwhile("The ticket has changed meanwhile.")
        changes = {
            line.field: line.proposed
            for line in lines
            if line.proposed != line.base and not (line.conflict and _chosen(form, fresh, line) == THEIRS)
        }
        await tickets.edit(fresh, changes, revision=fresh.revision)
        return see_other(f"/tickets/{ticket.id}")

    async def again() -> Response:
        fresh = await load_visible(ticket.id)
        # What breaks a rule is said first; both are offered once all that was typed can be read.
        return _page(visit, fresh, [] if form.errors else [line for line in _lines(fresh, form) if line.conflict])

    return await submit(visit, work, again)


def _lines(ticket: Ticket, form: Form) -> list[Line]:
    """Raises ValidationError for what breaks a rule."""
    return by_field(_read(form, BEFORE), {name: getattr(ticket, name) for name in FIELDS}, _read(form, ""))


def _read(form: Form, prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {name: form.get(prefix + name) for name in FIELDS}
    values["error_codes_reported"] = form.lines(f"{prefix}error_codes_reported")
    content = read(TicketContent, values)
    return {name: getattr(content, name) for name in FIELDS}


def _chosen(form: Form, ticket: Ticket, line: Line) -> str:
    """Which of both was chosen, with the ticket as it is now in sight; empty if none was."""
    given = form.get(CHOICE + line.field) if form.revision() == ticket.revision else ""
    return given if given in (MINE, THEIRS) else ""


def _page(visit: Visit, ticket: Ticket, conflicts: list[Line]) -> Response:
    form = visit.form
    shown = {name: _written(getattr(ticket, name)) for name in FIELDS}
    if conflicts:
        last = _last(ticket, {line.field for line in conflicts})
        form.notice = (
            render.text("correct.changed", who=last.updated_by.name, age=render.age(last.timestamp))
            if last
            else render.text("correct.nothing_yet")
        )
    return visit.page(
        "ticket_edit.html",
        ticket=ticket,
        shown=shown,
        before={name: form.shown(BEFORE + name, shown[name]) for name in FIELDS},
        conflicts=[(line, _last(ticket, {line.field})) for line in conflicts],
        said=_said,
        categories=list(TicketCategory),
        priorities=list(Priority),
        vehicle_types=list(VehicleType),
    )


def _written(value: Any) -> str:
    """As the form writes it."""
    if isinstance(value, list):
        return "\n".join(value)
    return "" if value is None else str(value)


def _said(value: Any) -> str:
    """For people to read."""
    return render.word(value) if isinstance(value, StrEnum) else _written(value)


def _last(ticket: Ticket, names: set[str]) -> Correction | None:
    """Who corrected one of these fields last."""
    return next((one for one in reversed(ticket.corrections) if names & set(one.fields)), None)
