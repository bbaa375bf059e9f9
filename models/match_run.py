"""Runs of the matcher: what was asked, what was shown to whom, and what the scores were computed from."""

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import new_id
from models.record import ActorRef, Expiry, Record
from models.types import Strict, UtcDatetime


class AskedVehicle(Strict):
    make: str | None = None
    model: str | None = None
    year: int | None = None
    variant: str | None = None
    firmware: str | None = None
    vehicle_type: str | None = None


class AskedCase(Strict):
    """The complaint as the matcher was given it."""

    text: str = ""
    error_codes: list[str] = []
    symptom_codes: list[str] = []
    vehicle: AskedVehicle = AskedVehicle()
    mileage_km: int | None = None
    vehicle_age_months: int | None = None
    subsystem: str | None = None
    conditions: list[str] = []


class AskedOptions(Strict):
    scorer: str
    limit: int
    include_drafts: bool = False
    min_score: float = 0.0
    min_probability: float = 0.0


class ShownReason(Strict):
    channel: str
    text: str
    contribution: float


class ShownCard(Strict):
    """A candidate as it was shown. `inputs` is what the scorer computed the score from."""

    card_id: str
    card_version: int
    title: str
    score: float
    probability: float | None = None
    match_type: str
    confidence_level: str | None = None
    is_draft: bool = False
    matched_symptoms: list[str] = []
    channels: dict[str, float] = {}
    reasons: list[ShownReason] = []
    inputs: dict[str, float] = {}


class MatchRun(Record):
    """One match that somebody was shown; never changed. Without a ticket it goes at `expires_at`, else it stays.

    `shared` holds what the scorer took from all candidates together, those beyond the limit included: with it and the
    cards' `inputs` a scorer of the same version gives the same scores again, however the index has changed since.
    """

    id: str = Field(default_factory=lambda: new_id("match_run"))
    actor: ActorRef
    ticket_id: str | None = None
    site_id: str | None = None
    organisation_id: str | None = None
    case: AskedCase
    options: AskedOptions
    scorer_version: str
    embedder: str | None = None
    channels_off: dict[str, str] = {}
    index_size: int = Field(description="Cards in the index, drafts included.")
    symptom_codes: list[str] = Field(default=[], description="Symptoms of the library that the complaint names.")
    candidates: list[ShownCard] = Field(default=[], description="Best first.")
    shared: dict[str, float] = {}
    none_probability: float | None = Field(default=None, description="That no known card explains the complaint.")
    abstained: bool | None = None
    duration_ms: float
    expires_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "match_runs"
        expiry = Expiry()
        indexes = [
            IndexModel([("ticket_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("actor.id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("expires_at", ASCENDING), ("_id", ASCENDING)]),
        ]
