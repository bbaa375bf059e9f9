"""What suggestions may rest on: the ticket, the work on it, and cards of alike failures, as passages of text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from matching import Candidate
from models.draft_suggestion import Source, SourceKind
from models.failure_card import FailureCard
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.knowledge.redaction import Redactor, redactor_for

MAX_QUOTE = 500


@dataclass(frozen=True, slots=True)
class Passage:
    """Text of one document, without personal data."""

    kind: SourceKind
    id: str
    text: str

    def source(self, quote: str) -> Source:
        return Source(kind=self.kind, id=self.id, quote=quote[:MAX_QUOTE])

    def holds(self, quote: str) -> bool:
        """Whether the quote stands in the passage, however it is spaced and capitalised."""
        wanted = _plain(quote)
        return len(wanted) >= 3 and wanted in _plain(self.text)


@dataclass(frozen=True, slots=True)
class Alike:
    """A card that matching proposes for the draft's ticket."""

    candidate: Candidate
    card: FailureCard

    @property
    def passage(self) -> Passage:
        text = filter(None, (self.card.title, self.card.root_cause, self.card.resolution_summary))
        return Passage(SourceKind.card, self.card.id, "\n".join(text))


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that is known about a draft."""

    passages: list[Passage]
    alike: list[Alike]
    redactor: Redactor


def material(ticket: Ticket, actions: Sequence[TechnicianAction], alike: Sequence[Alike]) -> Material:
    """Ticket, work and alike cards; without those that a technician ruled out."""
    redactor = redactor_for(ticket, {action.technician_name for action in actions})
    found = [Passage(SourceKind.ticket, ticket.id, redactor.text(_ticket_text(ticket)))]
    found += [Passage(SourceKind.action, action.id, redactor.text(_action_text(action))) for action in actions]
    ruled_out = frozenset(no.card_id for action in actions for no in action.rejected_hypotheses if no.card_id)
    kept = [one for one in alike if one.card.id not in ruled_out]
    found += [one.passage for one in kept]
    return Material([passage for passage in found if passage.text], kept, redactor)


def _ticket_text(ticket: Ticket) -> str:
    return "\n".join(filter(None, (ticket.title, ticket.description, ticket.resolution)))


def _action_text(action: TechnicianAction) -> str:
    checks = [f"{tried.check_performed}: {tried.result}" for tried in action.attempted_diagnostics if tried.result]
    rejected = [f"Ruled out: {no.hypothesis}. {no.reason_rejected}" for no in action.rejected_hypotheses]
    lines = (
        action.new_failure_description, action.new_failure_root_cause, action.new_failure_resolution,
        *action.observations, *checks, *rejected, *action.resolution_steps_followed, action.technician_notes,
    )  # fmt: skip
    return "\n".join(filter(None, lines))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
