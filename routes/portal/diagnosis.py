"""Guided diagnosis: one step on each page, why it comes now, and what the answers so far have done to the suspects."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from app.errors import Invalid, NotFound
from app.ids import Id
from models.diagnosis import CheckAnswer, DiagnosisSession, DiagnosisStatus, Prospect, SessionStep
from models.ticket import Ticket
from models.types import Measurement
from routes.portal import render
from routes.portal.forms import Form, read
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.tickets import ALWAYS_SHOWN, UNLIKELY, CurrentTicket, ticket_page
from routes.portal.visit import Visit, see_other
from services.diagnosis.guided import sessions
from services.diagnosis.guided.identity import limit_of
from services.diagnosis.guided.view import standing
from services.repairs.ticket_moves import round_of
from services.repairs.ticket_states import WORKABLE
from services.repairs.visibility import load_visible

router = page_router()

MEASURED = "measured"
"""The button that lets the measurement answer."""
UNITS = ("V", "mV", "A", "mA", "Ω", "kΩ", "MΩ", "°C", "%", "bar", "mm", "s", "Nm")
ON_TICKET = "/tickets/{ticket_id}/diagnosis"
AT_SESSION = f"{ON_TICKET}/{{session_id}}"


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate, or the unknown failure (`card_id` None): its probability now and before the last answer."""

    card_id: str | None
    title: str
    before: float
    now: float
    times_ruled_out: int = 0
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one answer to the proposed check would do."""

    answer: CheckAnswer
    chance: float
    moves: list[Standing]
    rules_out: list[str]


async def _load(ticket: CurrentTicket, session_id: Annotated[Id, Path()]) -> DiagnosisSession:
    session = await sessions.get(session_id)
    if session.ticket_id != ticket.id:
        raise NotFound.of("diagnosis session", session_id)
    return session


CurrentSession = Annotated[DiagnosisSession, Depends(_load)]


def address(session: DiagnosisSession) -> str:
    return f"/tickets/{session.ticket_id}/diagnosis/{session.id}"


@router.post(ON_TICKET)
async def start(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    """Begin a session. For a check that was missed, a session of this passage that still runs will do."""
    form = visit.form
    check = form.get("check")
    missing = [tool.strip() for tool in form.get("tools_missing").split(",") if tool.strip()]

    async def work() -> Response:
        session = await _running(ticket) if check else None
        session = session or await sessions.start(ticket.id, tools_missing=missing)
        return see_other(address(session), {"check": check})

    async def again() -> Response:
        return await ticket_page(visit, await load_visible(ticket.id))

    return await submit(visit, work, again)


async def _running(ticket: Ticket) -> DiagnosisSession | None:
    newest = next(iter((await sessions.list_sessions(ticket.id, limit=1)).items), None)
    if newest is None or newest.status is DiagnosisStatus.stopped or newest.resolution_round != round_of(ticket):
        return None
    return newest


@router.get(AT_SESSION)
async def show_step(visit: CurrentVisit, ticket: CurrentTicket, session: CurrentSession) -> Response:
    return await _page(visit, ticket, session, visit.request.query_params.get("check", ""))


@router.post(f"{AT_SESSION}/acknowledge")
async def acknowledge(visit: CurrentVisit, ticket: CurrentTicket, session: CurrentSession) -> Response:
    """The safety warnings were read: show the check."""
    chosen = visit.form.get("test_id")
    back_to = chosen if chosen != _proposed(session) else ""
    return await _step(visit, ticket, session, lambda fresh: sessions.acknowledge(fresh, chosen), back_to=back_to)


@router.post(f"{AT_SESSION}/answers")
async def answer(visit: CurrentVisit, ticket: CurrentTicket, session: CurrentSession) -> Response:
    form = visit.form

    async def take(fresh: DiagnosisSession) -> DiagnosisSession:
        said, measurement = form.get("answer"), _measurement(form)
        if said == MEASURED and measurement is None:
            raise Invalid.field("value", render.text("form.required"))
        if said not in (*CheckAnswer, MEASURED):
            raise Invalid.field("answer", render.text("form.required"))
        chosen = None if said == MEASURED else CheckAnswer(said)
        return await sessions.answer(fresh, form.get("test_id"), chosen, measurement=measurement, note=form.get("note"))

    return await _step(visit, ticket, session, take)


def _measurement(form: Form) -> Measurement | None:
    """The reading with its unit, None if there is none; a decimal comma is one, too. Raises ValidationError."""
    value = form.get("value").replace(",", ".").replace("−", "-")
    quantity = render.text("diagnosis.quantity")
    return read(Measurement, {"quantity": quantity, "value": value, "unit": form.get("unit")}) if value else None


@router.post(f"{AT_SESSION}/repairs")
async def report_repair(visit: CurrentVisit, ticket: CurrentTicket, session: CurrentSession) -> Response:
    """Say whether a repair helped. One that did not is evidence, and the session goes on."""
    form = visit.form

    async def take(fresh: DiagnosisSession) -> DiagnosisSession:
        if not form.get("card_id"):
            raise Invalid.field("card_id", render.text("form.required"))
        if form.get("worked") not in ("yes", "no"):
            raise Invalid.field("worked", render.text("form.required"))
        return await sessions.repaired(fresh, form.get("card_id"), worked=form.get("worked") == "yes")

    return await _step(visit, ticket, session, take)


@router.post(f"{AT_SESSION}/undo")
async def undo(visit: CurrentVisit, ticket: CurrentTicket, session: CurrentSession) -> Response:
    """Take the last answer back."""
    return await _step(visit, ticket, session, sessions.undo)


@router.post(f"{AT_SESSION}/stop")
async def stop(visit: CurrentVisit, ticket: CurrentTicket, session: CurrentSession) -> Response:
    """End the session as it stands."""
    return await _step(visit, ticket, session, lambda fresh: sessions.stop(fresh, visit.form.said("reason")))


async def _step(
    visit: Visit,
    ticket: Ticket,
    session: DiagnosisSession,
    take: Callable[[DiagnosisSession], Awaitable[DiagnosisSession]],
    *,
    back_to: str = "",
) -> Response:
    """Do one thing with the session as the form saw it, and show what is next; `back_to` is a check that was chosen."""
    form = visit.form

    async def work() -> Response:
        fresh = await sessions.get(session.id)
        sessions.expect_revision(fresh, form.revision())
        await take(fresh)
        return see_other(address(session), {"check": back_to} if back_to else None)

    async def again() -> Response:
        fresh = await sessions.get(session.id)
        if form.revision() in (None, fresh.revision):
            return await _page(visit, ticket, fresh, form.get("test_id"))
        form.notice, form.errors = _changed(fresh, form), {}
        if form.get("test_id") != _proposed(fresh):
            form.values = {}  # it belonged to another check
        return await _page(visit, ticket, fresh)

    return await submit(visit, work, again)


def _proposed(session: DiagnosisSession) -> str:
    return session.proposal.check.test_id if session.proposal.check else ""


def _changed(session: DiagnosisSession, form: Form) -> str:
    """What was done with the session meanwhile, and what of the form was therefore not taken."""
    parts = [render.text("diagnosis.changed")]
    if session.steps:
        last = max(session.steps, key=lambda step: step.undone_at or step.answered_at)
        key = "diagnosis.changed_undone" if last.undone_at else "diagnosis.changed_last"
        parts.append(render.text(key, who=last.answered_by.name, what=finding(last, titles_in(session))))
    reading = f"{form.get('value')} {form.get('unit')}" if form.get("value") else ""
    sent = [render.word(form.get("answer")) if form.get("answer") != MEASURED else "", reading, form.get("note")]
    if any(sent):
        parts.append(render.text("diagnosis.not_taken", sent=" · ".join(filter(None, sent))))
    return " ".join(parts)


async def _page(visit: Visit, ticket: Ticket, session: DiagnosisSession, chosen: str = "") -> Response:
    """The session's present step, or the check that the technician chose instead."""
    running = session.status is not DiagnosisStatus.stopped and ticket.status in WORKABLE
    check = session.proposal.check if running else None
    own_choice = running and chosen not in ("", _proposed(session))
    if own_choice:
        try:
            check = await sessions.check_asked(session, chosen)
        except Invalid:
            own_choice = False
            visit.form.errors.pop("test_id", None)
            visit.form.notice = visit.form.notice or render.text("diagnosis.not_open")
    steps = standing(session.steps)
    titles = titles_in(session)
    suspects, ruled_out = _standings(session, steps, titles)
    return visit.page(
        "diagnosis.html",
        ticket=ticket,
        workable=ticket.status in WORKABLE,
        running=running,
        session=session,
        at=address(session),
        number=len(steps) + 1,
        check=check,
        own_choice=own_choice,
        warnings=sessions.outstanding_warnings(session, check) if check else [],
        limit=limit_of(check.question) if check else None,
        units=UNITS,
        outlooks=[] if own_choice else [_outlook(one, titles) for one in session.proposal.prospects],
        last=finding(steps[-1], titles) if steps else "",
        last_rules_out=[titles[card_id] for card_id in steps[-1].rules_out] if steps else [],
        told=[(step, finding(step, titles)) for step in session.steps],
        proven=any(step.worked for step in steps),
        likely=[one for place, one in enumerate(suspects) if place < ALWAYS_SHOWN or one.now >= UNLIKELY],
        unlikely=[one for place, one in enumerate(suspects) if place >= ALWAYS_SHOWN and one.now < UNLIKELY],
        ruled_out=ruled_out,
        titles=titles,
        cards=[(one.card_id, one.title) for one in session.candidates],
    )


def titles_in(session: DiagnosisSession) -> dict[str | None, str]:
    """The names of what may be the cause, the unknown failure (None) among them."""
    named: dict[str | None, str] = {candidate.card_id: candidate.title for candidate in session.candidates}
    return named | {None: render.text("diagnosis.unknown")}


def finding(step: SessionStep, titles: dict[str | None, str]) -> str:
    """What a step found, in one line."""
    if step.check is None or step.answer is None:
        return render.text("diagnosis.helped" if step.worked else "diagnosis.in_vain", card=titles[step.card_id])
    reading = f" ({step.measurement.value:g} {step.measurement.unit})" if step.measurement else ""
    return render.text("diagnosis.said", question=step.check.question, answer=render.word(step.answer) + reading)


def _standings(
    session: DiagnosisSession, steps: list[SessionStep], titles: dict[str | None, str]
) -> tuple[list[Standing], list[Standing]]:
    """Who is left and who was ruled out, the likeliest first."""
    before = {shift.card_id: shift.before for shift in steps[-1].shifts} if steps else {}
    by_number = {step.number: finding(step, titles) for step in session.steps}
    unknown = session.unknown_probability
    left = [Standing(None, titles[None], before.get(None, unknown), unknown)]
    out = []
    for one in session.candidates:
        shown = Standing(
            one.card_id,
            one.title,
            before.get(one.card_id, one.probability),
            one.probability,
            one.times_ruled_out,
            tuple(by_number[number] for number in one.ruled_out_by),
        )
        (out if one.ruled_out else left).append(shown)
    return sorted(left, key=lambda one: -one.now), sorted(out, key=lambda one: -one.now)


def _outlook(prospect: Prospect, titles: dict[str | None, str]) -> Outlook:
    moves = [Standing(one.card_id, titles[one.card_id], one.before, one.after) for one in prospect.shifts]
    return Outlook(prospect.answer, prospect.chance, moves, [titles[card_id] for card_id in prospect.rules_out])
