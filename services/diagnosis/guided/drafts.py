"""What a session says as part of a technician's action, so that nobody types it again."""

from typing import Annotated, TypeVar

from pydantic import Field

from app.errors import Invalid
from app.ids import Id
from models.diagnosis import CheckAnswer, DiagnosisSession, SessionStep, StepKind
from models.technician_action import ActionContent, AttemptedDiagnostic, RejectedHypothesis
from models.types import Measurement, Minutes, Strict
from services.diagnosis.guided.view import standing
from services.readings import fault_of

WORDS = {
    CheckAnswer.yes: "Yes",
    CheckAnswer.no: "No",
    CheckAnswer.cannot_do: "Could not be done",
    CheckAnswer.skipped: "Skipped",
}
MAX_TEXT = 500
T = TypeVar("T")


class ActionDraft(Strict):
    """The fields of an action that follow from a session."""

    ticket_id: Id
    diagnosis_session_id: Id
    attempted_diagnostics: Annotated[list[AttemptedDiagnostic], Field(max_length=200)]
    rejected_hypotheses: Annotated[list[RejectedHypothesis], Field(max_length=100)]
    diagnostic_steps_performed: list[str]
    measurements: list[Measurement]
    failure_cards_suggested: list[Id]
    tools_used: list[str]
    diagnostic_time_minutes: Minutes
    failure_card_used: Id | None = Field(description="The card confirmed, or proposed for repair.")


def draft_of(session: DiagnosisSession, *, card_used: str | None = None) -> ActionDraft:
    """The session as an action's fields. `card_used` is what was used in the end; such a card is not rejected."""
    steps = standing(session.steps)
    checks = [step for step in steps if step.kind is StepKind.check]
    made = [step for step in checks if step.answer in (CheckAnswer.yes, CheckAnswer.no)]
    titles = {candidate.card_id: candidate.title for candidate in session.candidates}
    concluded = session.proposal.card_id if session.proposal.check is None else None
    used = card_used or concluded
    by_number = {step.number: step for step in steps}
    tools = dict.fromkeys(tool for step in made if step.check for tool in step.check.tools_required)
    return ActionDraft(
        ticket_id=session.ticket_id,
        diagnosis_session_id=session.id,
        attempted_diagnostics=_as_many_as_fit("attempted_diagnostics", [_diagnostic(step, titles) for step in checks]),
        rejected_hypotheses=[
            _rejected(candidate.card_id, candidate.title, [by_number[number] for number in candidate.ruled_out_by])
            for candidate in session.candidates
            if candidate.ruled_out and candidate.card_id != used
        ],
        diagnostic_steps_performed=_as_many_as_fit(
            "diagnostic_steps_performed", [_line(step, titles) for step in steps]
        ),
        measurements=[reading for step in made for reading in _readings(step)],
        failure_cards_suggested=[candidate.card_id for candidate in session.candidates],
        tools_used=_as_many_as_fit("tools_used", list(tools)),
        diagnostic_time_minutes=sum(step.check.duration_minutes for step in made if step.check),
        failure_card_used=used,
    )


def filled(content: ActionContent, session: DiagnosisSession) -> ActionContent:
    """The action with what the session knows added to what the technician wrote, as far as an action has room; what
    they wrote stands first.

    The card is taken over where its repair was seen to help in the session; a mere proposal says nothing of what was
    done. Raises Invalid if the session belongs to another ticket.
    """
    if session.ticket_id != content.ticket_id:
        raise Invalid.field("diagnosis_session_id", "belongs to another ticket", session.id)
    used = content.failure_card_used or _helped(session)
    draft = draft_of(session, card_used=used)
    known = {(done.card_id, done.step_id) for done in content.attempted_diagnostics if done.step_id}
    rejected = {one.card_id for one in content.rejected_hypotheses}
    added = {
        "attempted_diagnostics": [
            done for done in draft.attempted_diagnostics if (done.card_id, done.step_id) not in known
        ],
        "rejected_hypotheses": [
            one for one in draft.rejected_hypotheses if one.card_id not in rejected and one.card_id != used
        ],
        "diagnostic_steps_performed": draft.diagnostic_steps_performed,
        "failure_cards_suggested": draft.failure_cards_suggested,
        "tools_used": draft.tools_used,
    }
    whole = {
        name: _as_many_as_fit(name, [*(own := getattr(content, name)), *(one for one in more if one not in own)])
        for name, more in added.items()
    }
    minutes = content.diagnostic_time_minutes or draft.diagnostic_time_minutes
    return ActionContent.model_validate(
        {name: getattr(content, name) for name in ActionContent.model_fields}
        | whole
        | {"failure_card_used": used, "diagnostic_time_minutes": minutes, "diagnosis_session_id": session.id}
    )


def _as_many_as_fit(name: str, values: list[T]) -> list[T]:
    """The first of the values, no more than this field of an action may hold."""
    rules = ActionContent.model_fields[name].metadata
    return values[: next(rule.max_length for rule in rules if hasattr(rule, "max_length"))]


def _helped(session: DiagnosisSession) -> str | None:
    return next((step.card_id for step in reversed(standing(session.steps)) if step.worked), None)


def _diagnostic(step: SessionStep, titles: dict[str, str]) -> AttemptedDiagnostic:
    check = step.check
    shift = next((shift for shift in step.shifts if shift.card_id == step.card_id), None)
    answered = step.answer in (CheckAnswer.yes, CheckAnswer.no)
    return AttemptedDiagnostic(
        step_id=check.node_id,
        card_id=check.card_id,
        hypothesis=titles.get(check.card_id, "")[:MAX_TEXT],
        check_performed=check.check_action[:MAX_TEXT],
        result=_finding(step),
        answer=step.answer is CheckAnswer.yes if answered else None,
        confirmed=shift.after > shift.before if answered and shift else None,
        tools_used=check.tools_required if answered else [],
        measurements=_readings(step),
        timestamp=step.answered_at,
    )


def _rejected(card_id: str, title: str, steps: list[SessionStep]) -> RejectedHypothesis:
    readings = [_reading(step.measurement) for step in steps if step.measurement]
    return RejectedHypothesis(
        hypothesis=title[:MAX_TEXT],
        card_id=card_id,
        reason_rejected="; ".join(_finding(step) for step in steps)[:MAX_TEXT],
        evidence="; ".join([*readings, *(step.note for step in steps if step.note)])[:MAX_TEXT],
        ruled_out_at=max((step.answered_at for step in steps), default=None),
    )


def _line(step: SessionStep, titles: dict[str, str]) -> str:
    if step.kind is StepKind.repair:
        return f"Repaired by “{titles.get(step.card_id, step.card_id)}”: {'helped' if step.worked else 'did not help'}"
    return _finding(step)


def _readings(step: SessionStep) -> list[Measurement]:
    """As an action takes them: sessions of earlier releases may hold some that no instrument shows."""
    return [step.measurement] if step.measurement and fault_of(step.measurement) is None else []


def _finding(step: SessionStep) -> str:
    if step.check is None or step.answer is None:
        return f"Repair {'helped' if step.worked else 'did not help'}"
    reading = f" ({_reading(step.measurement)})" if step.measurement else ""
    return f"{step.check.question} {WORDS[step.answer]}{reading}"[:MAX_TEXT]


def _reading(measurement: Measurement) -> str:
    return f"{measurement.quantity} {measurement.value:g} {measurement.unit}"
