"""Service tickets: the operational input of the learning loop."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id, new_id
from models.enums import CustomerType, Priority, ResolutionType, TicketCategory, TicketStatus, VehicleType
from models.record import ActorRef, Record
from models.types import (
    ErrorCode,
    Kilometres,
    ModelYear,
    Money,
    Name,
    Rating,
    Strict,
    Text,
    Title,
    UtcDatetime,
)


class TicketContent(Strict):
    """What is known when a vehicle comes in. A known `vehicle_id` fills the vehicle's fields that are left empty."""

    vehicle_id: Id | None = None
    vehicle_type: VehicleType | None = None
    vehicle_make: Name = ""
    vehicle_model: Name = ""
    vehicle_year: ModelYear | None = None
    vehicle_number: Annotated[Name, Field(description="Registration.")] = ""
    vehicle_mileage_km: Kilometres | None = None
    vehicle_firmware: Name = ""

    customer_id: Id | None = None
    customer_name: Name = ""
    customer_contact: Name = ""
    customer_type: CustomerType = CustomerType.individual

    title: Title
    description: Text = ""
    category: TicketCategory = TicketCategory.other
    priority: Priority = Priority.medium
    error_codes_reported: Annotated[list[ErrorCode], Field(max_length=50)] = []
    estimated_cost: Money | None = None


class StatusChange(Strict):
    """One entry of the status history."""

    status: TicketStatus
    timestamp: UtcDatetime
    updated_by: ActorRef
    note: str = ""


class Correction(Strict):
    """Who corrected which fields of what was taken in."""

    timestamp: UtcDatetime
    updated_by: ActorRef
    fields: list[str]


class UsedPart(Strict):
    """A part that was fitted, as the ticket's summary shows it; the record is in `part_usage`."""

    usage_id: str
    part_name: str
    part_number: str = ""
    quantity: int
    total_cost: Money | None = None


class Resolution(Strict):
    """How a ticket was resolved, and what the customer made of it."""

    resolution: Text
    resolution_type: ResolutionType = ResolutionType.workshop
    selected_failure_card: Id | None = Field(default=None, description="The card that explained the failure, if any.")
    labor_hours: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 0.0
    labor_cost: Money | None = None
    resolution_successful: bool = True
    customer_satisfaction: Rating | None = None
    revisit_required: bool = False
    new_failure_discovered: bool = False


class Ticket(Record, TicketContent):
    """The ticket as stored. `revision` counts every write and is the ETag."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("ticket"))
    natural_key: str | None = Field(default=None, description="Set by importers, so that importing again adds nothing.")
    status: TicketStatus = TicketStatus.open
    organisation_id: str | None = Field(default=None, description="The customer's organisation.")
    site_id: str | None = Field(default=None, description="The workshop that works it.")

    assigned_technician_id: str | None = None
    assigned_technician_name: str = ""
    assigned_at: UtcDatetime | None = None

    suggested_failure_cards: list[str] = []
    selected_failure_card: str | None = None
    ai_match_performed: bool = False
    ai_match_timestamp: UtcDatetime | None = None
    match_run_id: str | None = Field(default=None, description="The run behind the suggestions.")
    symptom_codes: list[str] = Field(default=[], description="Symptoms of the library found in the text.")

    resolution: str = ""
    resolution_type: ResolutionType | None = None
    parts_used: list[UsedPart] = []
    labor_hours: float = 0.0
    actual_cost: Money | None = None
    parts_cost: Money | None = None
    labor_cost: Money | None = None

    resolution_successful: bool | None = None
    customer_satisfaction: Rating | None = None
    revisit_required: bool = False
    new_failure_discovered: bool = False
    resolution_count: int = Field(
        default=0, description="How often it was resolved: 1 + the number of revisits so far."
    )
    revisit_count: int = 0
    reopened_at: UtcDatetime | None = Field(
        default=None, description="When the present passage began, if not at first."
    )
    holds: int = Field(default=0, description="Counts those who kept others from the ticket, so that they conflict.")

    status_history: list[StatusChange] = []
    corrections: list[Correction] = Field(default=[], description="The latest ones, oldest first.")
    created_by: str = ""
    resolved_at: UtcDatetime | None = None
    closed_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "tickets"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("site_id", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("site_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("organisation_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("assigned_technician_id", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("assigned_technician_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("updated_at", ASCENDING)]),
            IndexModel([("vehicle_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("vehicle_make", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("vehicle_make", ASCENDING), ("vehicle_model", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("selected_failure_card", ASCENDING), ("_id", DESCENDING)]),
            # A partial index keeps keys unique but answers no query; this one does.
            IndexModel([("natural_key", ASCENDING), ("_id", ASCENDING)]),
            IndexModel(
                [("natural_key", ASCENDING)],
                unique=True,
                partialFilterExpression={"natural_key": {"$type": "string"}},
            ),
        ]
