"""Incidents: failures that emerge, seen as unusually many alike tickets that no known failure explains."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id, new_id
from models.record import ActorRef, Record
from models.types import Line, ModelYear, Name, ShortText, Strict, SymptomCode, UtcDatetime


class IncidentStatus(StrEnum):
    """`open`: its draft card waits. `watching`: dismissed, it opens again if it grows clearly. `closed`: for good."""

    open = "open"
    watching = "watching"
    closed = "closed"


class ClosedBecause(StrEnum):
    approved = "approved"
    merged = "merged"


class AffectedVehicle(Strict):
    make: Line
    model: Name = ""
    year_from: ModelYear | None = None
    year_to: ModelYear | None = None
    firmware_versions: list[Name] = []
    tickets: int = Field(ge=1)


class Shared(Strict):
    """One fact with the number of tickets that have it."""

    value: Line
    tickets: int = Field(ge=1)


class SharedSymptom(Strict):
    symptom_code: SymptomCode
    name: Line
    tickets: int = Field(ge=1)


class SharedFacts(Strict):
    """What the tickets have in common. `terms` are words that several owners use, none of one ticket's own text."""

    terms: list[Name] = []
    codes: list[Shared] = []
    symptoms: list[SharedSymptom] = []
    vehicles: list[AffectedVehicle] = []
    conditions: list[Shared] = Field(default=[], description="Circumstances, for instance `load: under load`.")
    mileage_km_from: int | None = None
    mileage_km_to: int | None = None
    site_ids: list[Id] = []
    first_ticket_at: UtcDatetime
    last_ticket_at: UtcDatetime


class IncidentStatistic(Strict):
    """Why it is unusual. Counts are of vehicles: several tickets of one vehicle count once."""

    vehicles: int = Field(description="With alike unexplained tickets within the window.")
    window_days: int
    earlier_vehicles: int = Field(description="With alike tickets in the time before.")
    baseline_days: int
    expected: float = Field(
        description="Vehicles to be expected within the window: by the time before, else by the fleet."
    )
    chance: float = Field(ge=0, le=1, description="Of so many or more if nothing has changed, before the search.")
    scope: Name = Field(description="Whose tickets the comparison is with, for instance `ather 450x`.")
    explanation: ShortText


class Incident(Record):
    """Which tickets belong to it stands in `incident_tickets`."""

    id: str = Field(default_factory=lambda: new_id("incident"))
    title: Line
    status: IncidentStatus = IncidentStatus.open
    card_id: str | None = Field(default=None, description="The draft with what the tickets share; later the card.")
    ticket_count: int
    facts: SharedFacts
    statistic: IncidentStatistic
    dismissed_at_count: int | None = Field(default=None, description="Tickets it had when it was last dismissed.")
    dismissed_by: ActorRef | None = None
    dismissed_at: UtcDatetime | None = None
    dismissal_reason: Annotated[str, Field(max_length=500)] = ""
    closed_because: ClosedBecause | None = None
    closed_at: UtcDatetime | None = None
    merged_into: str | None = None

    class Settings(Record.Settings):
        name = "incidents"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("status", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("card_id", ASCENDING), ("_id", DESCENDING)]),
        ]


class IncidentTicket(Record):
    """That a ticket belongs to an incident; `id` is the ticket's, so it belongs to one at most, whoever writes.

    `incident_id` is null after an expert has taken it out; the incidents it must not return to stay in `taken_out_of`.
    """

    incident_id: str | None
    taken_out_of: list[str] = []

    class Settings(Record.Settings):
        name = "incident_tickets"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("incident_id", ASCENDING), ("_id", DESCENDING)]),
        ]
