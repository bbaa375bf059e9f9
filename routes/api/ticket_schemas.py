"""What the ticket routes take and show."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from app import clock
from app.ids import Id
from app.security import current_actor
from models.enums import CustomerType, DueState, Priority, ResolutionType, TicketCategory, TicketStatus, VehicleType
from models.event import EventType
from models.record import ActorRef
from models.ticket import Correction, Resolution, StatusChange, TicketContent, UsedPart
from models.types import ErrorCode, Kilometres, Line, ModelYear, Money, Name, ShortText, Strict, Text, Title
from routes.api.override_schemas import Overriding
from routes.api.schemas import Out
from services.repairs import sla
from services.repairs.visibility import works_at


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class NewTicket(TicketContent):
    model_config = _example(
        {
            "title": "Scooter stops charging at 80 %",
            "description": "Charger clicks off after ten minutes, the pack is warm. Display shows P0A7E.",
            "category": "charging",
            "priority": "high",
            "error_codes_reported": ["P0A7E"],
            "vehicle_type": "two_wheeler",
            "vehicle_make": "Ather",
            "vehicle_model": "450X",
            "vehicle_year": 2023,
        }
    )

    site_id: Id | None = Field(
        default=None,
        description="The workshop; by default a technician's own, if they have only one.",
    )
    organisation_id: Id | None = Field(
        default=None, description="The customer's organisation; the vehicle's by default. Customers: always their own."
    )


class TicketEdit(Strict):
    """What is left out stays as it is."""

    model_config = _example({"priority": "critical", "vehicle_mileage_km": 18250})

    vehicle_id: Id | None = None
    vehicle_type: VehicleType | None = None
    vehicle_make: Name | None = None
    vehicle_model: Name | None = None
    vehicle_year: ModelYear | None = None
    vehicle_number: Name | None = None
    vehicle_mileage_km: Kilometres | None = None
    vehicle_firmware: Name | None = None
    customer_id: Id | None = None
    customer_name: Name | None = None
    customer_contact: Name | None = None
    customer_type: CustomerType | None = None
    title: Title | None = None
    description: Text | None = None
    category: TicketCategory | None = None
    priority: Priority | None = None
    error_codes_reported: Annotated[list[ErrorCode], Field(max_length=50)] | None = None
    estimated_cost: Money | None = None


class Assignment(Strict):
    model_config = _example({"technician_id": "usr_0v7k3m2x9qd4hz6t1b8n"})

    technician_id: Id
    site_id: Id | None = Field(default=None, description="Where it is worked, if the ticket has no site or moves.")


class Progress(Strict):
    model_config = _example({"status": "pending_parts", "note": "BMS board ordered"})

    status: TicketStatus = Field(description="in_progress or pending_parts; the other states have routes of their own.")
    note: ShortText = ""


class Closing(Strict):
    model_config = _example({"note": "Collected by the customer"})

    note: ShortText = ""


class ResolutionReport(Resolution, Overriding):
    def resolution_only(self) -> Resolution:
        """What is to be recorded."""
        return Resolution(**{name: getattr(self, name) for name in Resolution.model_fields})


class Reopening(Strict):
    model_config = _example({"reason": "Stopped charging again after two days"})

    reason: Line


class TicketOut(Out):
    ticket_id: str = Field(validation_alias="id")
    status: TicketStatus
    organisation_id: str | None
    site_id: str | None
    vehicle_id: str | None
    vehicle_type: VehicleType | None
    vehicle_make: str
    vehicle_model: str
    vehicle_year: int | None
    vehicle_number: str
    vehicle_mileage_km: int | None
    vehicle_firmware: str
    customer_id: str | None
    customer_name: str
    customer_contact: str
    customer_type: CustomerType
    title: str
    description: str
    category: TicketCategory
    priority: Priority
    error_codes_reported: list[str]
    symptom_codes: list[str] = Field(description="Symptoms of the library found in the text.")
    assigned_technician_id: str | None
    assigned_technician_name: str
    assigned_at: datetime | None
    suggested_failure_cards: list[str] = Field(
        description="Best first. Not for customers, who are told by `likely-causes` if anything."
    )
    selected_failure_card: str | None
    ai_match_performed: bool
    ai_match_timestamp: datetime | None
    match_run_id: str | None = Field(
        description="The match behind the suggestions, as it was shown. Not for customers."
    )
    resolution: str
    resolution_type: ResolutionType | None
    parts_used: list[UsedPart]
    labor_hours: float = Field(description="Over all passages.")
    estimated_cost: Money | None
    actual_cost: Money | None = Field(description="Parts and labour.")
    parts_cost: Money | None
    labor_cost: Money | None = Field(description="Over all passages.")
    resolution_successful: bool | None
    customer_satisfaction: int | None
    revisit_required: bool
    new_failure_discovered: bool
    resolution_count: int
    revisit_count: int
    status_history: list[StatusChange]
    corrections: list[Correction] = Field(description="Who corrected which fields, the latest ones, oldest first.")
    created_by: str
    created_at: datetime
    updated_at: datetime
    reopened_at: datetime | None = Field(description="When the present passage began, if it came back.")
    resolved_at: datetime | None
    closed_at: datetime | None
    due_at: datetime | None = Field(
        default=None, description="By when it should be resolved, by its priority; null where nothing is promised."
    )
    due_state: DueState | None = Field(
        default=None, description="How it stands against that, or stood when it was resolved."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self.due_at, self.due_state = sla.due_at(self), sla.state(self, clock.now())
        if not works_at(current_actor(), self.site_id):
            self.suggested_failure_cards, self.match_run_id = [], None
        return self


class LikelyCauseOut(Out):
    title: str
    probability: float | None = Field(description="Null where the scorer that was used gives none.")


class LikelyCausesOut(Out):
    items: list[LikelyCauseOut] = Field(description="Likeliest first.")


class HistoryOut(Out):
    items: list[StatusChange]


class TicketEventOut(Out):
    event_id: str = Field(validation_alias="id")
    event_type: EventType
    data: dict[str, Any]
    actor: ActorRef
    cause: str | None
    created_at: datetime
