"""What the failure card routes take and show."""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field

from app.ids import Id
from models.enums import (
    ConfidenceLevel,
    FailureCardStatus,
    FailureMode,
    Severity,
    SourceType,
    SubsystemCategory,
)
from models.failure_card import (
    CardContent,
    ConfidenceChange,
    FailureCard,
    FailureSignature,
    VehicleCompatibility,
    VersionEntry,
)
from models.record import ActorRef
from models.types import ShortText, Strict, UtcDatetime
from routes.api.schemas import Out, Score
from services.knowledge.diff import Change

CARD_EXAMPLE: dict[str, Any] = {
    "title": "BMS cell balancing circuit failure",
    "description": "One cell group drifts away from the others; charging ends early.",
    "subsystem_category": "bms",
    "failure_mode": "degradation",
    "severity": "high",
    "symptom_text": "Battery does not charge beyond 80 %, range drops by the week",
    "error_codes": ["P0A80"],
    "root_cause": "The balancing resistor of a cell group is open",
    "diagnostic_tree": {
        "root_node_id": "spread",
        "nodes": [
            {
                "node_id": "spread",
                "step_number": 1,
                "question": "Do the cell groups differ by more than 50 mV at rest?",
                "check_action": "Read all cell voltages an hour after charging",
                "expected_outcome": "Less than 30 mV between the highest and the lowest group",
                "tools_required": ["Diagnostic laptop"],
                "if_yes": "resistor",
                "hands_over_to": "State of health of the whole pack",
            },
            {
                "node_id": "resistor",
                "step_number": 2,
                "question": "Is the balancing resistor of the low group open?",
                "check_action": "Isolate the pack, then measure the resistor on the board",
                "safety_warnings": ["Isolate and verify absence of voltage before opening the pack"],
                "leads_to_root_cause": "Open balancing resistor",
                "hands_over_to": "Cell group itself",
            },
        ],
    },
    "resolution_steps": [{"step_number": 1, "action": "Replace the balancing board", "duration_minutes": 45}],
    "required_parts": [{"part_name": "Balancing board", "part_number": "BMS-BAL-16", "unit_cost": "1850.00"}],
    "vehicle_models": [{"make": "Ather", "model": "450X", "vehicle_type": "two_wheeler", "year_from": 2021}],
    "tags": ["charging"],
}


class CardBody(CardContent):
    """A whole card. Signature and keywords are made out of the rest where they are left out."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [CARD_EXAMPLE]})


class CardEdit(CardBody):
    """The whole content as it is to be; what is left out returns to its default."""

    change_summary: ShortText = Field(default="", description="Why it was changed, for the version history.")
    resolves_flags: Annotated[list[Id], Field(max_length=50)] = Field(
        default=[], description="Flags of the card that the new version settles."
    )


def content_of_body(body: CardBody) -> CardContent:
    """The card's own part of a request; shares the validated values."""
    return CardContent.model_construct(
        body.model_fields_set & CardContent.model_fields.keys(),
        **{name: getattr(body, name) for name in CardContent.model_fields},
    )


class Approval(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Confirmed on two vehicles"}]})

    reason: ShortText = ""


Reason = Annotated[ShortText, Field(min_length=1)]


class Rejection(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Which resistance was measured?"}]})

    reason: Reason


class Discarding(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Written twice"}]})

    reason: Reason


class Deprecation(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The board was redesigned"}]})

    reason: Reason
    successor_id: Id | None = Field(default=None, description="The card to use instead.")


class CardSummary(Out):
    """A card in a list; the whole of it is at its own address."""

    failure_id: str = Field(validation_alias="id")
    version: int
    status: FailureCardStatus
    title: str
    subsystem_category: SubsystemCategory
    failure_mode: FailureMode
    severity: Severity
    symptom_codes: list[str]
    error_codes: list[str]
    root_cause: str
    vehicle_models: list[VehicleCompatibility]
    universal_failure: bool
    tags: list[str]
    confidence_score: float
    confidence_level: ConfidenceLevel
    effectiveness_score: Score
    evidence_mean: Score
    evidence_low: Score
    usage_count: int
    source_type: SourceType
    created_at: UtcDatetime
    updated_at: UtcDatetime


class CardOut(CardContent):
    """A card with what the service keeps about it. `edition` is the ETag: it counts changes of content and state."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    failure_id: str = Field(validation_alias="id")
    version: int
    edition: int
    status: FailureCardStatus
    failure_signature: FailureSignature
    signature_hash: str

    confidence_score: float
    confidence_level: ConfidenceLevel
    usage_count: int
    success_count: int
    failure_count: int
    effectiveness_score: Score = Field(description="Success rate + min(0.1, uses / 100): up to 1.1.")
    evidence_mean: Score = Field(description="Posterior mean of the fix rate over all vehicles.")
    evidence_low: Score = Field(description="Lower bound of its 90 % interval.")
    evidence_high: Score
    evidence_n: Score = Field(description="Outcomes behind it, older ones weighing less.")
    rejected_count: int
    ratings_count: int
    ratings_sum: int
    confidence_history: list[ConfidenceChange] = Field(description="The last 200 changes, oldest first.")

    source_ticket_id: str | None
    source_garage_id: str | None
    created_by: str
    updated_by: str
    approved_by: str | None
    created_at: UtcDatetime
    updated_at: UtcDatetime
    approved_at: UtcDatetime | None
    last_used_at: UtcDatetime | None
    deprecated_at: UtcDatetime | None
    deprecation_reason: str
    successor_id: str | None
    merged_into: str | None = Field(description="The card that stands for this one since both were merged.")
    merged_from: list[str] = Field(description="Cards that were merged into this one, latest first.")
    version_history: list[VersionEntry] = Field(description="The last 200 versions, oldest first.")
    open_flags: int = Field(description="Kinds of complaint about the card that are not settled.")
    last_reviewed_at: UtcDatetime | None = Field(description="When an expert last found it still right.")
    last_reviewed_by: str | None
    synced_to_network: bool
    last_sync_at: UtcDatetime | None

    @classmethod
    def of(cls, card: FailureCard, *, inside: bool) -> Self:
        """`inside`: for those who work with the knowledge. Others are not told of people, tickets and sites."""
        shown = cls.model_validate(card)
        if inside:
            return shown
        return shown.model_copy(
            update={
                "confidence_history": [],
                "version_history": [],
                "source_ticket_id": None,
                "source_garage_id": None,
                "created_by": "",
                "updated_by": "",
                "approved_by": None,
                "last_reviewed_by": None,
            }
        )


class VersionLine(Out):
    version: int
    status: FailureCardStatus = Field(description="In which state the card was when it was written.")
    changed_by: ActorRef
    proposed_by: ActorRef | None = Field(default=None, description="Whose proposal it was, if somebody else's.")
    summary: str
    created_at: UtcDatetime


class VersionOut(VersionLine):
    content: CardContent


class DifferenceOut(Out):
    field: str = Field(
        examples=["resolution_steps[2].action"],
        description="Path of what differs; an element of a list stands in brackets under its own key.",
    )
    change: Change
    old: Any = None
    new: Any = None


class DiffOut(Out):
    failure_id: str
    from_version: int
    to_version: int
    differences: list[DifferenceOut]


class PosteriorOut(Out):
    """A rate with the interval that holds it with 90 % probability, and the outcomes behind it (older ones less)."""

    mean: float
    low: float
    high: float
    n: float


class EvidenceOut(Out):
    variant: str = Field(examples=["ather|450x|2023"], description="`make|model|year`, or `*` for all vehicles.")
    outcomes: int
    fix_rate: PosteriorOut = Field(description="How often the fix works.")
    rejections: float = Field(description="How often it was considered and ruled out (older ones less).")
    ruled_out: int = Field(description="The same as a plain count: “ruled out 14 times on this variant”.")
    acceptance: PosteriorOut = Field(description="How often those who consider it go on to use it.")


class CardEvidenceOut(Out):
    failure_id: str
    pooled: EvidenceOut
    variants: list[EvidenceOut]


class ConfidenceHistoryOut(Out):
    failure_id: str
    confidence_score: float
    confidence_level: ConfidenceLevel
    items: list[ConfidenceChange] = Field(description="Newest first; earlier ones are in the event log.")
