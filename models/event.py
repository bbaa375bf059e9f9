"""Events: their types, one payload each, and the stored log that the processor works through."""

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import new_id
from models.enums import EventStatus, TicketStatus
from models.record import ActorRef, Record
from models.types import Strict, UtcDatetime


class EventType(StrEnum):
    """The event types of the EFI core specification, §4.1."""

    ticket_created = "ticket.created"
    ticket_assigned = "ticket.assigned"
    ticket_in_progress = "ticket.in_progress"
    ticket_resolved = "ticket.resolved"
    ticket_closed = "ticket.closed"
    match_requested = "match.requested"
    match_completed = "match.completed"
    match_failed = "match.failed"
    action_started = "action.started"
    action_completed = "action.completed"
    card_used = "card.used"
    card_rated = "card.rated"
    failure_discovered = "failure.discovered"
    card_created = "card.created"
    card_submitted = "card.submitted_for_review"
    card_approved = "card.approved"
    card_deprecated = "card.deprecated"
    card_updated = "card.updated"
    confidence_updated = "confidence.updated"
    effectiveness_recalculated = "effectiveness.recalculated"
    sync_requested = "sync.requested"
    sync_completed = "sync.completed"


class Payload(Strict):
    """What an event says. `subject_id` of a payload is the id of the document it is about."""

    event_type: ClassVar[EventType]
    subject: ClassVar[str]

    @property
    def subject_id(self) -> str:
        return getattr(self, self.subject)


class TicketCreated(Payload):
    event_type = EventType.ticket_created
    subject = "ticket_id"
    ticket_id: str


class TicketAssigned(Payload):
    event_type = EventType.ticket_assigned
    subject = "ticket_id"
    ticket_id: str
    technician_id: str
    previous_technician_id: str | None = None


class TicketInProgress(Payload):
    """Work goes on: started, waiting for parts, resumed, or reopened (`revisit`, of passage `revisit_of_round`)."""

    event_type = EventType.ticket_in_progress
    subject = "ticket_id"
    ticket_id: str
    status: TicketStatus
    previous_status: TicketStatus
    revisit: bool = False
    revisit_of_round: int | None = None
    within_return_window: bool = False
    note: str = ""


class TicketResolved(Payload):
    """One passage ended. It carries what the customer said then: the ticket may have moved on when it is weighed."""

    event_type = EventType.ticket_resolved
    subject = "ticket_id"
    ticket_id: str
    resolution_round: int
    card_id: str | None = None
    resolution_successful: bool = True
    customer_satisfaction: int | None = None
    revisit_required: bool = False


class TicketClosed(Payload):
    event_type = EventType.ticket_closed
    subject = "ticket_id"
    ticket_id: str


class MatchRequested(Payload):
    event_type = EventType.match_requested
    subject = "ticket_id"
    ticket_id: str
    scorer: str


class Suggestion(Strict):
    card_id: str
    card_version: int
    score: float
    match_type: str


class MatchCompleted(Payload):
    event_type = EventType.match_completed
    subject = "ticket_id"
    ticket_id: str
    scorer: str
    suggestions: list[Suggestion]
    duration_ms: float
    match_run_id: str | None = None


class MatchFailed(Payload):
    event_type = EventType.match_failed
    subject = "ticket_id"
    ticket_id: str
    scorer: str
    reason: str


class ActionStarted(Payload):
    """Work on a ticket began: the action's own record follows when it is done."""

    event_type = EventType.action_started
    subject = "ticket_id"
    ticket_id: str
    technician_id: str
    started_at: UtcDatetime


class ActionCompleted(Payload):
    event_type = EventType.action_completed
    subject = "action_id"
    action_id: str
    ticket_id: str
    outcome: str


class CardUsed(Payload):
    event_type = EventType.card_used
    subject = "card_id"
    card_id: str
    ticket_id: str
    action_id: str


class CardRated(Payload):
    event_type = EventType.card_rated
    subject = "card_id"
    card_id: str
    ticket_id: str
    action_id: str
    helpful: bool | None = None
    accuracy_rating: int | None = None


class FailureDiscovered(Payload):
    event_type = EventType.failure_discovered
    subject = "action_id"
    action_id: str
    ticket_id: str


class CardCreated(Payload):
    event_type = EventType.card_created
    subject = "card_id"
    card_id: str
    source_ticket_id: str | None = None
    incident_id: str | None = Field(default=None, description="The incident whose tickets it was drafted from.")


class CardSubmitted(Payload):
    event_type = EventType.card_submitted
    subject = "card_id"
    card_id: str
    review_id: str


class CardApproved(Payload):
    event_type = EventType.card_approved
    subject = "card_id"
    card_id: str
    version: int


class CardDeprecated(Payload):
    event_type = EventType.card_deprecated
    subject = "card_id"
    card_id: str
    reason: str
    successor_id: str | None = None
    merged_into: str | None = Field(default=None, description="Set where the card was merged into its successor.")


class CardUpdated(Payload):
    event_type = EventType.card_updated
    subject = "card_id"
    card_id: str
    version: int
    changed_fields: list[str]
    change: str = Field(
        default="edited",
        description="edited | rejected | withdrawn | loaded | merged | synced | reviewed | flagged | flag_resolved"
        " | flag_dismissed | proposed | proposal_accepted | proposal_declined",
    )
    reason: str = ""
    merged_from: str | None = Field(default=None, description="The card that was merged into this one.")
    flag_id: str | None = None
    proposal_id: str | None = None


class ConfidenceUpdated(Payload):
    event_type = EventType.confidence_updated
    subject = "card_id"
    card_id: str
    ticket_id: str
    previous_score: float
    new_score: float
    reason: str


class EffectivenessRecalculated(Payload):
    event_type = EventType.effectiveness_recalculated
    subject = "card_id"
    card_id: str
    usage_count: int
    success_count: int
    failure_count: int
    effectiveness_score: float


class SyncRequested(Payload):
    event_type = EventType.sync_requested
    subject = "peer_id"
    peer_id: str


class SyncCompleted(Payload):
    event_type = EventType.sync_completed
    subject = "peer_id"
    peer_id: str
    received: int
    sent: int


PAYLOADS: dict[EventType, type[Payload]] = {payload.event_type: payload for payload in Payload.__subclasses__()}


class HandlerResult(Strict):
    """What one handler made of the event."""

    handler: str
    result: dict[str, Any] = {}
    finished_at: UtcDatetime


class EfiEvent(Record):
    """One event of the log, and how far its processing has come."""

    id: str = Field(default_factory=lambda: new_id("event"))
    event_type: EventType
    subject_id: str
    data: dict[str, Any]
    actor: ActorRef
    cause: str | None = None
    site_id: str | None = None
    organisation_id: str | None = None

    status: EventStatus = EventStatus.pending
    attempts: int = 0
    available_at: UtcDatetime
    lease_until: UtcDatetime | None = None
    claimed_by: str | None = None
    results: list[HandlerResult] = []
    error: str = ""
    processed_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "efi_events"
        indexes = [
            IndexModel([("status", ASCENDING), ("available_at", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("event_type", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("subject_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("data.ticket_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("actor.id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("cause", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("site_id", ASCENDING), ("_id", DESCENDING)]),
        ]

    @property
    def payload(self) -> Payload:
        """The typed payload."""
        return PAYLOADS[self.event_type].model_validate(self.data)


class EventReceipt(Record):
    """Proof that one handler's effect of one event is in the store; `id` is `<event id>:<handler>`.

    It is written in the same transaction as the effect, so the effect happens once however often
    the event is delivered.
    """

    event_id: str
    handler: str
    result: dict[str, Any] = {}

    class Settings(Record.Settings):
        name = "event_receipts"
        indexes = [IndexModel([("event_id", ASCENDING)])]
