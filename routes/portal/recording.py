"""What a guided diagnosis already says about the work on a ticket, so that recording it takes less than a minute."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.errors import NotFound
from models.diagnosis import DiagnosisSession
from models.enums import ResolutionOutcome
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from routes.portal import render
from routes.portal.tickets import ALWAYS_SHOWN, UNLIKELY, Suspect
from services.diagnosis.guided import drafts, sessions
from services.diagnosis.guided.drafts import ActionDraft
from services.diagnosis.guided.view import standing
from services.repairs.ticket_moves import round_of

LOOKED_AT = 10
"""Newest sessions of a ticket among which the one to record is looked for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A card that may have been the cause; `ruled_out` is what the diagnosis found against it."""

    card_id: str
    title: str
    likely: bool
    ruled_out: str = ""


@dataclass(frozen=True, slots=True)
class Prefill:
    """An action's form before anything was typed. `session` and `draft` are None where no diagnosis was made."""

    choices: list[Choice]
    session: DiagnosisSession | None = None
    draft: ActionDraft | None = None
    outcome: str = ""
    done: str = ""

    @property
    def card_id(self) -> str:
        return (self.draft and self.draft.failure_card_used) or ""


async def session_to_record(
    ticket: Ticket, actions: Iterable[TechnicianAction], wanted: str = ""
) -> DiagnosisSession | None:
    """The session asked for, else the newest of this passage that found something and that no action has taken over.

    Raises NotFound if the one asked for is none of this ticket.
    """
    if wanted:
        session = await sessions.get(wanted)
        if session.ticket_id != ticket.id:
            raise NotFound.of("diagnosis session", wanted)
        return session
    taken = {action.diagnosis_session_id for action in actions}
    found = (await sessions.list_sessions(ticket.id, limit=LOOKED_AT)).items
    fresh = (one for one in found if one.resolution_round == round_of(ticket) and one.id not in taken)
    return next((one for one in fresh if standing(one.steps)), None)


def prefill(suspects: list[Suspect], session: DiagnosisSession | None) -> Prefill:
    """The form's first values: the suspects by their present probability, and what the diagnosis has shown."""
    matched = [Choice(one.candidate.card_id, one.candidate.title, one.likely) for one in suspects]
    if session is None:
        return Prefill(matched)
    draft = drafts.draft_of(session)
    against = {one.card_id: one.reason_rejected for one in draft.rejected_hypotheses}
    ranked = sorted(session.candidates, key=lambda one: (one.card_id != draft.failure_card_used, -one.probability))
    choices = [
        Choice(
            one.card_id,
            one.title,
            one.card_id not in against and (place < ALWAYS_SHOWN or one.probability >= UNLIKELY),
            against.get(one.card_id, ""),
        )
        for place, one in enumerate(ranked)
    ]
    named = {one.card_id for one in choices}
    choices += [Choice(one.card_id, one.title, False) for one in matched if one.card_id not in named]
    helped = next((step.card_id for step in standing(session.steps) if step.worked), None)
    titles = {one.card_id: one.title for one in session.candidates}
    if helped is None:
        return Prefill(choices, session, draft)
    done = render.text("action.repaired", card=titles[helped])
    return Prefill(choices, session, draft, ResolutionOutcome.success, done)
