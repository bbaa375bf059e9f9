"""What the matching routes take and show."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app import clock
from app.errors import Forbidden
from app.security import Actor
from matching import Candidate, Case, Vehicle
from models.enums import ConfidenceLevel, SubsystemCategory, VehicleType
from models.match_run import AskedCase, AskedOptions, ShownCard
from models.record import ActorRef
from models.types import ErrorCode, Kilometres, Line, ModelYear, Name, Share, Strict, SymptomCode, Text
from routes.api.schemas import Out, Score
from services import fault_codes
from services.diagnosis.matches import DEFAULT_SCORER, SUGGESTIONS, Matched, MatchOptions
from services.diagnosis.translate import age_months
from services.knowledge.access import sees_every_card
from services.knowledge.confidence import Evidence


class HowToMatch(Strict):
    """What can be chosen about a match."""

    limit: Annotated[int, Field(ge=1, le=50)] = SUGGESTIONS
    scorer: Annotated[str, Field(max_length=40, description="efi_v2, or calibrated.")] = DEFAULT_SCORER
    include_drafts: Annotated[bool, Field(description="Cards that no expert has approved yet, too.")] = False
    min_score: Annotated[Share, Field(description="Leave out what scores less.")] = 0.0
    min_probability: Annotated[
        Share, Field(description="Leave out what is less probable; for scorers that give a probability.")
    ] = 0.0

    def options(self, actor: Actor) -> MatchOptions:
        if self.include_drafts and not sees_every_card(actor):
            raise Forbidden("You see approved cards only.")
        return MatchOptions(self.scorer, self.limit, self.include_drafts, self.min_score, self.min_probability)


class FailureMatchRequest(HowToMatch):
    """A complaint. Codes that stand in the text are found as well."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "symptom_text": "Stops charging at 80 %, charger light turns green early, display shows P0A7E",
                    "vehicle_make": "Ather",
                    "vehicle_model": "450X",
                    "vehicle_year": 2023,
                    "limit": 3,
                }
            ]
        },
    )

    symptom_text: Text = ""
    error_codes: Annotated[list[ErrorCode], Field(max_length=50)] = []
    symptom_codes: Annotated[list[SymptomCode], Field(max_length=50)] = []
    vehicle_make: Name = ""
    vehicle_model: Name = ""
    vehicle_year: ModelYear | None = None
    vehicle_type: VehicleType | None = None
    vehicle_firmware: Name = ""
    vehicle_mileage_km: Kilometres | None = None
    subsystem_category: SubsystemCategory | None = None
    conditions: Annotated[
        list[Line],
        Field(max_length=20, description="When it happens, in free words: in the rain, under load, when cold."),
    ] = []

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.symptom_text or self.error_codes or self.symptom_codes):
            raise ValueError("name a symptom: symptom_text, error_codes or symptom_codes")
        return self

    def case(self) -> Case:
        return Case(
            text=self.symptom_text,
            error_codes=tuple(fault_codes.normalised(self.error_codes, "error_codes")),
            symptom_codes=tuple(self.symptom_codes),
            vehicle=Vehicle(
                make=self.vehicle_make or None,
                model=self.vehicle_model or None,
                year=self.vehicle_year,
                firmware=self.vehicle_firmware or None,
                vehicle_type=self.vehicle_type,
            ),
            mileage_km=self.vehicle_mileage_km,
            vehicle_age_months=age_months(self.vehicle_year, clock.now()),
            subsystem=self.subsystem_category,
            conditions=tuple(self.conditions),
        )


class ReasonOut(BaseModel):
    channel: str
    text: str
    contribution: Score = Field(description="Its part of the score; negative where it speaks against the card.")


class EvidenceOut(BaseModel):
    """How often the card's fix works on this vehicle variant: a Beta posterior."""

    mean: Score
    low: Score = Field(description="Lower end of the 90 % interval.")
    high: Score
    n: Score = Field(description="Outcomes on this variant; older ones count less.")


class FailureMatchResult(BaseModel):
    failure_id: str
    version: int
    title: str
    match_score: Score
    match_type: str = Field(description="exact, semantic or partial.")
    matched_symptoms: list[str] = Field(description="Symptom codes that lead from the complaint to the card.")
    confidence_level: ConfidenceLevel
    is_draft: bool
    probability: Score | None = Field(description="That this card explains the complaint; calibrated scorers only.")
    channels: dict[str, Score] = Field(description="What each channel says of the card.")
    explanation: list[ReasonOut] = Field(description="The contributions add up to the score.")
    against: list[ReasonOut] = Field(description="Those of the explanation that speak against the card.")
    evidence: EvidenceOut


def _shown(candidate: Candidate, evidence: Evidence) -> dict[str, Any]:
    """The fields of a FailureMatchResult: made of them all at once, dozens of reasons cost little."""
    rate = evidence.fix_rate
    return {
        "failure_id": candidate.card_id,
        "version": candidate.version,
        "title": candidate.title,
        "match_score": candidate.score,
        "match_type": candidate.match_type,
        "matched_symptoms": candidate.matched_symptoms,
        "confidence_level": candidate.confidence_level,
        "is_draft": candidate.is_draft,
        "probability": candidate.probability,
        "channels": candidate.channels,
        "explanation": [reason._asdict() for reason in candidate.reasons],
        "against": [reason._asdict() for reason in candidate.against],
        "evidence": {"mean": rate.mean, "low": rate.low, "high": rate.high, "n": rate.n},
    }


class MatchOut(BaseModel):
    matches: list[FailureMatchResult]
    match_run_id: str = Field(description="The record of this match, by which it can be replayed.")
    symptom_codes: list[str] = Field(description="Symptoms of the library that the complaint names.")
    scorer: str
    scorer_version: str
    no_known_failure: bool | None = Field(description="The scorer believes none of the cards; null if it cannot tell.")
    none_probability: Score | None = Field(description="That no known card explains the complaint.")
    embedder: str | None = Field(description="What compared meaning.")
    channels_off: dict[str, str] = Field(description="Channels that could not serve, each with the reason.")
    duration_ms: float

    @classmethod
    def of(cls, matched: Matched) -> Self:
        result = matched.result
        return cls.model_validate(
            {
                "matches": [_shown(candidate, matched.evidence[candidate.card_id]) for candidate in result.candidates],
                "match_run_id": matched.run_id,
                "symptom_codes": result.symptoms,
                "scorer": result.scorer,
                "scorer_version": result.scorer_version,
                "no_known_failure": result.abstained,
                "none_probability": result.none_probability,
                "embedder": result.embedder,
                "channels_off": result.channels_off,
                "duration_ms": round(result.duration_ms, 3),
            }
        )


class MatchRunEntry(Out):
    """A run in a list."""

    match_run_id: str = Field(validation_alias="id")
    created_at: datetime
    actor: ActorRef
    ticket_id: str | None
    options: AskedOptions
    scorer_version: str
    no_known_failure: bool | None = Field(validation_alias="abstained")
    none_probability: Score | None
    duration_ms: float
    expires_at: datetime | None = Field(description="When it is forgotten; runs of tickets stay.")


class MatchRunOut(MatchRunEntry):
    """What was asked, what was shown, and what the scores were computed from."""

    site_id: str | None
    organisation_id: str | None
    case: AskedCase
    symptom_codes: list[str]
    embedder: str | None
    channels_off: dict[str, str]
    index_size: int = Field(description="Cards in the index at that time, drafts included.")
    candidates: list[ShownCard] = Field(description="Best first, in the card versions of that time.")
    shared: dict[str, float] = Field(description="What the scorer took from all candidates together.")
