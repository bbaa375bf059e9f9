"""Failure cards: the central knowledge object, its versions, and its review."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id, new_id
from models.enums import (
    ConfidenceLevel,
    FailureCardStatus,
    FailureMode,
    HumidityRange,
    LoadCondition,
    OccurrencePattern,
    ReviewStatus,
    Severity,
    SkillLevel,
    SourceType,
    SubsystemCategory,
    TimeOfDayPattern,
    VehicleType,
)
from models.record import ActorRef, Record
from models.types import (
    ErrorCode,
    Line,
    Minutes,
    ModelYear,
    Money,
    Name,
    Share,
    ShortText,
    Strict,
    SymptomCode,
    Text,
    Title,
    UtcDatetime,
)

NodeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]


class FailureSignature(Strict):
    """Symptom and condition fingerprint, the primary key of the fast lookup. The hash is computed by the service."""

    signature_id: Name = ""
    signature_hash: Name = ""
    primary_symptoms: Annotated[list[Line], Field(max_length=20)] = []
    error_codes: Annotated[list[ErrorCode], Field(max_length=50)] = []
    subsystem: SubsystemCategory = SubsystemCategory.other
    failure_mode: FailureMode = FailureMode.complete_failure
    temperature_range: Name = ""
    humidity_range: HumidityRange | None = None
    load_condition: LoadCondition | None = None
    mileage_range: Name = ""
    vehicle_age_months: Annotated[int, Field(ge=0, le=1200)] | None = None
    occurrence_pattern: OccurrencePattern | None = None
    time_of_day_pattern: TimeOfDayPattern | None = None


class CardSymptom(Strict):
    """A symptom as this card shows it; `symptom_code` links it to the symptom library."""

    symptom_code: SymptomCode | None = None
    description: Line
    severity: Severity = Severity.medium
    frequency: OccurrencePattern | None = None


class DiagnosticNode(Strict):
    """One decision. `if_yes` and `if_no` name the next node; a leaf confirms a cause or hands over."""

    node_id: NodeId
    step_number: Annotated[int, Field(ge=1, le=1000)]
    question: Line
    check_action: ShortText
    expected_outcome: ShortText = ""
    tools_required: Annotated[list[Name], Field(max_length=20)] = []
    safety_warnings: Annotated[list[ShortText], Field(max_length=20)] = []
    duration_minutes: Minutes = 5
    if_yes: NodeId | None = None
    if_no: NodeId | None = None
    leads_to_root_cause: ShortText | None = None
    hands_over_to: ShortText | None = Field(default=None, description="Where to go when this card is ruled out.")


class DiagnosticTree(Strict):
    tree_id: Name = ""
    root_node_id: NodeId
    nodes: Annotated[list[DiagnosticNode], Field(min_length=1, max_length=200)]
    total_paths: int = Field(default=0, description="Computed.")
    avg_path_length: float = Field(default=0, description="Computed: mean number of steps to a leaf.")


class VerificationStep(Strict):
    step_number: Annotated[int, Field(ge=1, le=1000)]
    action: ShortText
    expected_result: ShortText = ""
    tools_required: Annotated[list[Name], Field(max_length=20)] = []
    safety_warning: ShortText = ""


class ResolutionStep(Strict):
    step_number: Annotated[int, Field(ge=1, le=1000)]
    action: ShortText
    details: Text = ""
    duration_minutes: Minutes = 0
    tools_required: Annotated[list[Name], Field(max_length=20)] = []
    safety_warnings: Annotated[list[ShortText], Field(max_length=20)] = []


class RequiredPart(Strict):
    part_name: Line
    part_number: Name = ""
    part_id: Id | None = None
    category: Name = ""
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    unit_cost: Money | None = None
    is_optional: bool = False
    substitutes: Annotated[list[Name], Field(max_length=20)] = []


class VehicleCompatibility(Strict):
    make: Line
    model: Name = ""
    vehicle_type: VehicleType | None = None
    year_from: ModelYear | None = None
    year_to: ModelYear | None = None
    variants: Annotated[list[Name], Field(max_length=50)] = []
    firmware_versions: Annotated[list[Name], Field(max_length=50)] = []


class FailureCondition(Strict):
    """When the failure occurs, for instance condition "ambient temperature", value "above 40", unit "°C"."""

    condition: Line
    value: ShortText = ""
    unit: Name = ""


class CardContent(Strict):
    """What an author writes on a card. Everything else on it is kept by the service."""

    title: Title
    description: Text = ""
    subsystem_category: SubsystemCategory
    failure_mode: FailureMode
    severity: Severity = Severity.medium

    failure_signature: FailureSignature | None = None
    symptoms: Annotated[list[CardSymptom], Field(max_length=50)] = []
    symptom_codes: Annotated[list[SymptomCode], Field(max_length=50)] = []
    symptom_text: Text = ""
    error_codes: Annotated[list[ErrorCode], Field(max_length=50)] = []

    root_cause: Text = ""
    root_cause_details: Text = ""
    secondary_causes: Annotated[list[ShortText], Field(max_length=50)] = []

    diagnostic_tree: DiagnosticTree | None = None
    verification_steps: Annotated[list[VerificationStep], Field(max_length=100)] = []
    diagnostic_tools: Annotated[list[Name], Field(max_length=50)] = []
    diagnostic_duration_minutes: Minutes = 0

    resolution_steps: Annotated[list[ResolutionStep], Field(max_length=100)] = []
    resolution_summary: Text = ""
    estimated_repair_time_minutes: Minutes = 0
    skill_level_required: SkillLevel = SkillLevel.intermediate

    required_parts: Annotated[list[RequiredPart], Field(max_length=100)] = []
    estimated_parts_cost: Money | None = None
    estimated_labor_cost: Money | None = None
    estimated_total_cost: Money | None = None

    vehicle_models: Annotated[list[VehicleCompatibility], Field(max_length=1000)] = []
    universal_failure: bool = False
    failure_conditions: Annotated[list[FailureCondition], Field(max_length=50)] = []

    keywords: Annotated[list[Name], Field(max_length=200)] = []
    tags: Annotated[list[Name], Field(max_length=50)] = []
    source_type: SourceType = SourceType.internal_analysis
    source_reference: ShortText = Field(
        default="", description="Where the knowledge comes from, for instance a recall."
    )
    first_detected_at: UtcDatetime | None = None


class ConfidenceChange(Strict):
    """One entry of the confidence history."""

    timestamp: UtcDatetime
    previous_score: Share
    new_score: Share
    change_reason: str
    ticket_id: str | None = None
    event_id: str | None = None


class VersionEntry(Strict):
    """One entry of the version history; the whole content stands in `card_versions`."""

    version: int
    timestamp: UtcDatetime
    updated_by: ActorRef
    proposed_by: ActorRef | None = Field(default=None, description="Whose proposal it was, if somebody else's.")
    summary: str = ""
    changed_fields: list[str] = []


class FailureCard(Record, CardContent):
    """The card as stored. `edition` counts editorial changes (content, status) and is the ETag; `revision` counts
    every write, learning included, and is what the matching index follows."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("card"))
    natural_key: str | None = Field(default=None, description="Set by loaders, so that loading again updates.")
    loaded_fingerprint: str | None = Field(
        default=None, description="Hash of what was last loaded: the same again changes nothing, nor undoes an edit."
    )
    version: int = 1
    edition: int = 1
    status: FailureCardStatus = FailureCardStatus.draft
    signature_hash: str = ""
    failure_signature: FailureSignature = FailureSignature()

    confidence_score: Share = 0.5
    confidence_level: ConfidenceLevel = ConfidenceLevel.medium
    confidence_here: Share | None = Field(
        default=None, description="The score after this service's own outcomes; None while there are no others."
    )
    confidence_elsewhere: float = Field(default=0.0, description="What outcomes of other services add to it.")
    usage_count: int = 0
    success_count: int = 0
    failure_count: int = 0
    effectiveness_score: float = 0.0
    evidence_mean: float = Field(default=0.5, description="Posterior mean of the fix rate over all variants.")
    evidence_low: float = Field(default=0.05, description="Lower bound of its 90 % interval; ranking uses it.")
    evidence_high: float = Field(default=0.95, description="Upper bound; an untried card shows the uniform prior.")
    evidence_n: float = Field(default=0.0, description="Decayed number of outcomes behind the evidence.")
    rejected_count: int = Field(default=0, description="How often a technician considered this card and ruled it out.")
    confidence_history: list[ConfidenceChange] = []
    ratings_count: int = 0
    ratings_sum: int = 0

    embedding_vector: list[float] = []

    source_ticket_id: str | None = None
    source_action_id: str | None = None
    source_garage_id: str | None = Field(default=None, description="Site where the failure was first discovered.")
    created_by: str = ""
    updated_by: str = ""
    approved_by: str | None = None
    approved_at: UtcDatetime | None = None
    deprecated_at: UtcDatetime | None = None
    deprecation_reason: str = ""
    successor_id: str | None = None
    merged_into: str | None = Field(default=None, description="The card that carries on what was learnt by this one.")
    merged_from: list[str] = Field(default=[], description="Cards that were merged into this one, latest first.")
    last_used_at: UtcDatetime | None = None
    version_history: list[VersionEntry] = []

    open_flags: int = Field(default=0, description="Kinds of complaint about the card that are not settled.")
    last_reviewed_at: UtcDatetime | None = Field(default=None, description="When an expert last found it still right.")
    last_reviewed_by: str | None = None

    synced_to_network: bool = False
    last_sync_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "failure_cards"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("_id", ASCENDING), ("edition", ASCENDING)]),
            IndexModel([("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("subsystem_category", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("failure_mode", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("severity", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("tags", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("confidence_level", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("error_codes", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("symptom_codes", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("vehicle_models.make", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("evidence_n", ASCENDING)]),
            IndexModel([("created_by", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("source_ticket_id", ASCENDING)]),
            IndexModel([("signature_hash", ASCENDING)]),
            IndexModel([("updated_at", ASCENDING), ("_id", ASCENDING)]),
            # The unique index is partial, and not every store answers queries from such a one.
            IndexModel([("natural_key", ASCENDING), ("_id", ASCENDING)]),
            IndexModel(
                [("natural_key", ASCENDING)],
                unique=True,
                partialFilterExpression={"natural_key": {"$type": "string"}},
            ),
            IndexModel(
                [("source_action_id", ASCENDING)],
                unique=True,
                partialFilterExpression={"source_action_id": {"$type": "string"}},
            ),
        ]


class CardVersion(Record):
    """The content of a card as it stood in one version."""

    id: str = Field(default_factory=lambda: new_id("card_version"))
    card_id: str
    version: int
    status: FailureCardStatus
    content: CardContent
    changed_by: ActorRef
    proposed_by: ActorRef | None = Field(default=None, description="Whose proposal it was, if somebody else's.")
    summary: str = ""

    class Settings(Record.Settings):
        name = "card_versions"
        indexes = [IndexModel([("card_id", ASCENDING), ("version", DESCENDING)], unique=True)]


class ReviewComment(Strict):
    at: UtcDatetime
    author: ActorRef
    text: Text


class Review(Record):
    """One passage of a card through the review queue. A discovered draft waits here from its creation."""

    id: str = Field(default_factory=lambda: new_id("review"))
    card_id: str
    card_title: str
    subsystem_category: SubsystemCategory
    source_type: SourceType
    source_ticket_id: str | None = None
    status: ReviewStatus = ReviewStatus.waiting
    open: bool = Field(default=True, description="Waiting or claimed; at most one open review per card.")
    submitted_by: ActorRef
    incoming_id: str | None = Field(default=None, description="The version from elsewhere that is to be decided on.")
    claimed_by: str | None = None
    claimed_at: UtcDatetime | None = None
    claim_expires_at: UtcDatetime | None = None
    decided_by: str | None = None
    decided_at: UtcDatetime | None = None
    decision_reason: str = ""
    comments: list[ReviewComment] = []

    class Settings(Record.Settings):
        name = "reviews"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("status", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("open", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("card_id", ASCENDING), ("_id", DESCENDING)]),
        ]
