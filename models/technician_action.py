"""Technician actions: the reasoning of a repair, not only its end."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id, new_id
from models.enums import ResolutionOutcome
from models.record import Record
from models.types import Line, Measurement, Minutes, Name, Rating, ShortText, Strict, Text, UtcDatetime

Lines = Annotated[list[ShortText], Field(max_length=100)]
CardIds = Annotated[list[Id], Field(max_length=100)]
Measurements = Annotated[list[Measurement], Field(max_length=200)]


class AttemptedDiagnostic(Strict):
    """One check: what was suspected, what was done, what was found."""

    step_id: Name = Field(default="", description="Node of the card's diagnostic tree, if it was followed.")
    card_id: Id | None = None
    hypothesis: ShortText = ""
    check_performed: ShortText
    result: ShortText = ""
    answer: bool | None = Field(default=None, description="To the question of the node named by `step_id`.")
    confirmed: bool | None = None
    tools_used: Annotated[list[Name], Field(max_length=50)] = []
    measurements: Measurements = []
    timestamp: UtcDatetime | None = None


class RejectedHypothesis(Strict):
    """A possibility that was ruled out, and by what."""

    hypothesis: ShortText
    card_id: Id | None = Field(default=None, description="The card that was ruled out, where it was one.")
    reason_rejected: ShortText
    evidence: ShortText = ""
    ruled_out_at: UtcDatetime | None = None


class ActionPart(Strict):
    """A part consumed, as the technician reports it; `usage_id` links to a stock movement where there is one."""

    part_name: Line
    part_number: Name = ""
    part_id: Id | None = None
    usage_id: Id | None = None
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    is_substitute: bool = False
    substitute_for: Name = ""


class ActionContent(Strict):
    """What a technician records about one passage of work on a ticket."""

    ticket_id: Id
    diagnosis_session_id: Id | None = Field(default=None, description="The guided diagnosis that led to it.")

    diagnostic_steps_performed: Lines = []
    attempted_diagnostics: Annotated[list[AttemptedDiagnostic], Field(max_length=200)] = []
    rejected_hypotheses: Annotated[list[RejectedHypothesis], Field(max_length=100)] = []
    observations: Lines = []
    measurements: Measurements = []
    photos: Annotated[
        list[ShortText], Field(max_length=50, description="Ids of photos of the ticket, or where others are kept.")
    ] = []
    diagnostic_time_minutes: Minutes = 0

    failure_cards_suggested: CardIds = []
    failure_cards_viewed: CardIds = []
    failure_card_used: Id | None = None
    failure_card_helpful: bool | None = None
    failure_card_accuracy_rating: Rating | None = None
    failure_card_modifications: Lines = []

    resolution_steps_followed: Lines = []
    parts_used: Annotated[list[ActionPart], Field(max_length=100)] = []
    tools_used: Annotated[list[Name], Field(max_length=50)] = []
    resolution_time_minutes: Minutes = 0

    resolution_outcome: ResolutionOutcome
    issue_resolved: bool = False
    new_issue_found: bool = False
    escalation_reason: ShortText = ""

    new_failure_discovered: bool = False
    new_failure_description: Text = ""
    new_failure_root_cause: Text = ""
    new_failure_resolution: Text = ""
    suggest_new_card: bool = False

    technician_notes: Text = ""
    difficulty_rating: Rating | None = None
    documentation_quality_rating: Rating | None = None

    started_at: UtcDatetime | None = None
    completed_at: UtcDatetime | None = None


class TechnicianAction(Record, ActionContent):
    """The action as stored. It is never changed afterwards: a correction is another action."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("action"))
    technician_id: str
    technician_name: str = ""
    site_id: str | None = None
    resolution_round: int = Field(
        default=1, description="Which passage of the ticket it belongs to; a revisit adds one."
    )

    class Settings(Record.Settings):
        name = "technician_actions"
        indexes = [
            IndexModel([("ticket_id", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("technician_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("failure_card_used", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("site_id", ASCENDING), ("_id", DESCENDING)]),
        ]
