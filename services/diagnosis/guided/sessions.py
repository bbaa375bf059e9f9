"""Diagnosis sessions: started on a ticket, answered step by step on any device, undone, stopped, and resumed."""

from typing import Any

import numpy as np

from app import clock
from app.database import in_transaction
from app.errors import Conflict, IllegalMove, Invalid, NotFound, Stale
from app.security import current_actor
from models.diagnosis import (
    Candidate,
    Check,
    CheckAnswer,
    DiagnosisSession,
    DiagnosisStatus,
    Proposal,
    ProposalKind,
    ReadWarning,
    SessionStep,
    StepKind,
)
from models.record import ActorRef
from models.ticket import Ticket
from models.types import Measurement
from services import readings
from services.diagnosis import matches
from services.diagnosis.guided.identity import limit_of, reading_says, sign_decides
from services.diagnosis.guided.problem import Problem, pose, spread
from services.diagnosis.guided.view import check_of, findings, planned, shifts_between, standing, worded
from services.diagnosis.matches import MatchOptions
from services.diagnosis.translate import ticket_case
from services.knowledge import confidence
from services.paging import Page, page
from services.repairs.ticket_moves import round_of
from services.repairs.ticket_states import check_workable
from services.repairs.visibility import load_visible, works_at
from services.writing import update

SCORER = "calibrated"
"""The session starts from probabilities, so it takes the scorer that gives them, whichever ranks suggestions."""
CANDIDATES = 20
MAX_STEPS = 300


class SafetyNotAcknowledged(Conflict):
    code, title = "safety_not_acknowledged", "Acknowledge the safety warnings first"


async def start(ticket_id: str, *, tools_missing: list[str] | None = None) -> DiagnosisSession:
    """Begin a session on a ticket's present passage, from the match's probabilities.

    Raises NotFound (no such ticket at the caller's sites), IllegalMove (it is resolved or closed), and Unavailable
    while there is no matching index.
    """

    async def work() -> DiagnosisSession:
        ticket = await _ticket(ticket_id)
        check_workable(ticket.status, "diagnosed")
        options = MatchOptions(scorer=SCORER, limit=CANDIDATES)
        result = (await matches.match(ticket_case(ticket), options)).result
        matched = result.candidates
        shares, unknown = spread([one.probability or 0.0 for one in matched], result.none_probability or 0.0)
        variant = confidence.variant_of(ticket)
        evidence = await confidence.evidence_on([match.card_id for match in matched], variant)
        candidates = [
            Candidate(
                card_id=match.card_id,
                title=match.title,
                version=match.version,
                prior=share,
                probability=share,
                times_ruled_out=evidence[match.card_id].ruled_out,
            )
            for match, share in zip(matched, shares, strict=True)
        ]
        session = DiagnosisSession(
            ticket_id=ticket.id,
            site_id=ticket.site_id,
            organisation_id=ticket.organisation_id,
            resolution_round=round_of(ticket),
            variant=variant,
            started_by=ActorRef.current(),
            scorer=SCORER,
            candidates=candidates,
            unknown_prior=unknown,
            unknown_probability=unknown,
            tools_missing=tools_missing or [],
            proposal=_NOTHING_YET,
        )
        fields = planned(session, [], await _problem(session))
        return await session.model_copy(update=fields).insert()

    return await in_transaction(work)


async def get(session_id: str) -> DiagnosisSession:
    """The session. Raises NotFound if there is none on a ticket at a site that the current actor acts for."""
    session = await DiagnosisSession.find_one({"_id": session_id})
    if session is not None:
        ticket = await Ticket.find_one({"_id": session.ticket_id})
        if ticket is not None and works_at(current_actor(), ticket.site_id):
            return session
    raise NotFound.of("diagnosis session", session_id)


async def list_sessions(ticket_id: str, *, limit: int = 50, after: str | None = None) -> Page[DiagnosisSession]:
    """The sessions of a ticket, newest first. Raises NotFound as `start` does."""
    ticket = await _ticket(ticket_id)
    return await page(DiagnosisSession, {"ticket_id": ticket.id}, limit=limit, after=after)


def expect_revision(session: DiagnosisSession, revision: int | None) -> None:
    """Raise Stale unless the session is at this revision: two devices may hold it. None asks for nothing."""
    if revision is not None and revision != session.revision:
        raise Stale(f"Session {session.id} is at revision {session.revision}, not {revision}: read it again.")


async def check_asked(session: DiagnosisSession, test_id: str) -> Check:
    """A check that some candidate's tree asks and that is still unanswered, whether proposed or not. Raises Invalid."""
    return _check(session, await _problem(session), test_id)


def outstanding_warnings(session: DiagnosisSession, check: Check | None = None) -> list[str]:
    """Safety warnings of a check, by default the proposed one, that nobody has acknowledged in this session."""
    check = check or session.proposal.check
    read = {one.warning for one in session.warnings_read}
    return [warning for warning in check.safety_warnings if warning not in read] if check else []


async def acknowledge(session: DiagnosisSession, test_id: str | None = None) -> DiagnosisSession:
    """Acknowledge the safety warnings of a check, by default the proposed one. A warning is read once in a session, and
    who has read it stays on record.

    Raises Invalid if no candidate's tree asks the test, or it was answered.
    """
    chosen = None if test_id is None or _is_proposed(session, test_id) else await check_asked(session, test_id)
    unread = outstanding_warnings(session, chosen)
    if not unread:
        return session
    read = [ReadWarning(warning=one, by=ActorRef.current(), at=clock.now()) for one in unread]
    return await update(session, {"warnings_read": [*session.warnings_read, *read]})


async def answer(
    session: DiagnosisSession,
    test_id: str,
    said: CheckAnswer | None,
    *,
    measurement: Measurement | None = None,
    note: str = "",
) -> DiagnosisSession:
    """Answer a check: the one proposed, or any other that a candidate's tree asks and that is still unanswered.

    Answer and measurement are in the sense of the question as `Check` words it; a measurement alone answers a question
    that compares with one number. Raises IllegalMove (stopped), SafetyNotAcknowledged, ImpossibleReading, and Invalid.
    """
    _require_running(session)
    problem = await _problem(session)
    check = _check(session, problem, test_id)
    readings.check([("measurement", measurement)] if measurement else [], about=check.question)
    said = _settle(check, said, measurement)
    if said in (CheckAnswer.yes, CheckAnswer.no) and (unread := outstanding_warnings(session, check)):
        raise SafetyNotAcknowledged("Somebody must have read what makes this check dangerous.", warnings=unread)
    step = SessionStep(
        number=len(session.steps) + 1,
        kind=StepKind.check,
        card_id=check.card_id,
        check=check,
        answer=said,
        measurement=measurement,
        note=note,
        reason=session.proposal.reason if _is_proposed(session, test_id) else "",
        answered_by=ActorRef.current(),
        answered_at=clock.now(),
    )
    return await _take(session, step, problem)


async def repaired(session: DiagnosisSession, card_id: str, *, worked: bool, note: str = "") -> DiagnosisSession:
    """Say whether a candidate's repair helped. One that did ends the session; one that did not is evidence against it.

    Raises IllegalMove (stopped) and Invalid (the card is no candidate).
    """
    _require_running(session)
    title = next((candidate.title for candidate in session.candidates if candidate.card_id == card_id), None)
    if title is None:
        raise Invalid.field("card_id", "is no candidate of this session", card_id)
    problem = await _problem(session)
    step = SessionStep(
        number=len(session.steps) + 1,
        kind=StepKind.repair,
        card_id=card_id,
        worked=worked,
        note=note,
        reason=session.proposal.reason if session.proposal.card_id == card_id else "",
        answered_by=ActorRef.current(),
        answered_at=clock.now(),
    )
    return await _take(session, step, problem)


async def undo(session: DiagnosisSession) -> DiagnosisSession:
    """Take the last standing step back; it stays in the record, marked. Raises IllegalMove if there is none."""
    _require_running(session)
    last = next(reversed(standing(session.steps)), None)
    if last is None:
        raise IllegalMove("Nothing has been answered yet that could be undone.", current=session.status)
    steps = [
        step.model_copy(update={"undone_at": clock.now()}) if step.number == last.number else step
        for step in session.steps
    ]
    return await _written(session, planned(session, steps, await _problem(session)))


async def stop(session: DiagnosisSession, reason: str = "") -> DiagnosisSession:
    """End the session as it stands. Raises IllegalMove if it was stopped before."""
    _require_running(session)
    return await update(session, {"status": DiagnosisStatus.stopped, "stop_reason": reason, "ended_at": clock.now()})


async def _take(session: DiagnosisSession, step: SessionStep, problem: Problem) -> DiagnosisSession:
    if len(session.steps) >= MAX_STEPS:
        raise Conflict(f"A session holds {MAX_STEPS} steps; stop it and start another.")
    planner = problem.planner
    before = planner.belief(findings(problem, session.steps, session.tools_missing))
    after = planner.belief(findings(problem, [*session.steps, step], session.tools_missing))
    shifts = shifts_between(planner.catalogue.cards, before, after)
    out_before = {candidate.card_id for candidate in session.candidates if candidate.ruled_out}
    fields = planned(session, [*session.steps, step], problem)
    out = [candidate.card_id for candidate in fields["candidates"] if candidate.ruled_out]
    told = step.model_copy(update={"shifts": shifts, "rules_out": [one for one in out if one not in out_before]})
    return await _written(session, fields | {"steps": [*session.steps, told]})


async def _written(session: DiagnosisSession, fields: dict[str, Any]) -> DiagnosisSession:
    worked = next((step for step in standing(fields["steps"]) if step.worked), None)
    if worked is not None:
        fields |= {"status": DiagnosisStatus.concluded, "proposal": _proven(fields["proposal"], worked)}
    ended = clock.now() if fields["status"] is DiagnosisStatus.concluded else None
    return await update(session, fields | {"ended_at": ended})


def _proven(proposal: Proposal, step: SessionStep) -> Proposal:
    """Nothing confirms a cause like a repair that helped."""
    return Proposal(
        kind=ProposalKind.confirmed,
        reason="The repair helped.",
        card_id=step.card_id,
        expected_cost=0.0,
        cost_without_tests=0.0,
    )


async def _problem(session: DiagnosisSession) -> Problem:
    priors = {candidate.card_id: candidate.prior for candidate in session.candidates}
    return await pose(priors, session.unknown_prior, variant=session.variant, site_id=session.site_id)


async def _ticket(ticket_id: str) -> Ticket:
    ticket = await load_visible(ticket_id)
    if not works_at(current_actor(), ticket.site_id):
        raise NotFound.of("ticket", ticket_id)
    return ticket


def _require_running(session: DiagnosisSession) -> None:
    if session.status is DiagnosisStatus.stopped:
        raise IllegalMove(f"Session {session.id} was stopped; start another one.", current=session.status, legal=[])


def _is_proposed(session: DiagnosisSession, test_id: str) -> bool:
    return session.proposal.check is not None and session.proposal.check.test_id == test_id


def _check(session: DiagnosisSession, problem: Problem, test_id: str) -> Check:
    catalogue = problem.planner.catalogue
    test = catalogue.by_id.get(test_id)
    if test is None:
        raise Invalid.field("test_id", "is asked by no candidate of this session", test_id)
    found = findings(problem, session.steps, session.tools_missing)
    if test in found.answers:
        raise Invalid.field("test_id", "was answered already; undo that answer first", test_id)
    proposed = session.proposal.check
    if proposed is not None and proposed.test_id == test_id:
        # The question that the technician has read, though another card has become likelier meanwhile.
        for place in catalogue.tests[test].places:
            if (catalogue.cards[place.card], place.node_id) == (proposed.card_id, proposed.node_id):
                return worded(problem, test, place)
    belief = np.array([candidate.probability for candidate in session.candidates])
    order = {candidate.card_id: number for number, candidate in enumerate(session.candidates)}
    known = np.array([belief[order[card_id]] for card_id in catalogue.cards])
    return check_of(problem, test, known, toward=None, found=found)


def _settle(check: Check, said: CheckAnswer | None, measurement: Measurement | None) -> CheckAnswer:
    """The answer, read off the measurement where none was given. Raises Invalid where the two contradict."""
    limit = limit_of(check.question) if measurement is not None else None
    in_doubt = bool(limit and measurement and sign_decides(limit, measurement.value, measurement.unit))
    read = reading_says(limit, measurement.value, measurement.unit) if limit and measurement and not in_doubt else None
    if said is None:
        if in_doubt:
            rule = "has the other sign than the limit: send it without if the probes were swapped, or answer yes or no"
            raise Invalid.field("measurement.value", rule, measurement.value if measurement else None)
        if read is None:
            raise Invalid.field("answer", "is required: the question cannot be answered by this measurement alone")
        return CheckAnswer.yes if read else CheckAnswer.no
    if read is not None and said in (CheckAnswer.yes, CheckAnswer.no) and (said is CheckAnswer.yes) != read:
        rule = f"contradicts the measurement, which says {'yes' if read else 'no'}"
        raise Invalid.field("answer", rule, said)
    return said


_NOTHING_YET = Proposal(kind=ProposalKind.unknown, reason="", expected_cost=0.0, cost_without_tests=0.0)
