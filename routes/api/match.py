"""Matching: which known failures may explain a complaint."""

from typing import Annotated, Self

from fastapi import Depends, Path
from pydantic import BaseModel, Field, model_validator

from app.errors import Forbidden
from app.ids import Id
from app.security import Actor
from matching import Candidate, Case, Vehicle
from models.enums import ConfidenceLevel, SubsystemCategory, VehicleType
from models.ticket import Ticket
from models.types import ErrorCode, Kilometres, ModelYear, Name, Share, Strict, SymptomCode, Text
from routes.api.deps import CurrentActor
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Score
from services import fault_codes
from services.diagnosis import matches
from services.diagnosis.matches import DEFAULT_SCORER, SUGGESTIONS, Matched, MatchOptions
from services.diagnosis.translate import ticket_case
from services.knowledge.access import sees_every_card
from services.knowledge.confidence import Evidence
from services.repairs.visibility import load_visible

router = api_router("/efi", tag="matching")


class HowToMatch(Strict):
    """What can be chosen about a match."""

    limit: Annotated[int, Field(ge=1, le=50)] = SUGGESTIONS
    scorer: Annotated[str, Field(max_length=40, description="efi_v2, or calibrated.")] = DEFAULT_SCORER
    include_drafts: Annotated[bool, Field(description="Cards that no expert has approved yet, too.")] = False
    min_score: Annotated[Share, Field(description="Leave out what scores less.")] = 0.0

    def options(self, actor: Actor) -> MatchOptions:
        if self.include_drafts and not sees_every_card(actor):
            raise Forbidden("You see approved cards only.")
        return MatchOptions(self.scorer, self.limit, self.include_drafts, self.min_score)


class FailureMatchRequest(HowToMatch):
    """A complaint. Codes that stand in the text are found as well."""

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
            subsystem=self.subsystem_category,
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
    evidence: EvidenceOut

    @classmethod
    def of(cls, candidate: Candidate, evidence: Evidence) -> Self:
        return cls(
            failure_id=candidate.card_id,
            version=candidate.version,
            title=candidate.title,
            match_score=candidate.score,
            match_type=candidate.match_type,
            matched_symptoms=list(candidate.matched_symptoms),
            confidence_level=ConfidenceLevel(candidate.confidence_level),
            is_draft=candidate.is_draft,
            probability=candidate.probability,
            channels=candidate.channels,
            explanation=[
                ReasonOut(channel=reason.channel, text=reason.text, contribution=reason.contribution)
                for reason in candidate.reasons
            ],
            evidence=EvidenceOut(
                mean=evidence.fix_rate.mean,
                low=evidence.fix_rate.low,
                high=evidence.fix_rate.high,
                n=evidence.fix_rate.n,
            ),
        )


class MatchOut(BaseModel):
    matches: list[FailureMatchResult]
    symptom_codes: list[str] = Field(description="Symptoms of the library that the complaint names.")
    scorer: str
    scorer_version: str
    no_known_failure: bool | None = Field(description="The scorer believes none of the cards; null if it cannot tell.")
    channels_off: dict[str, str] = Field(description="Channels that could not serve, each with the reason.")
    duration_ms: float

    @classmethod
    def of(cls, matched: Matched) -> Self:
        result = matched.result
        return cls(
            matches=[
                FailureMatchResult.of(candidate, matched.evidence[candidate.card_id]) for candidate in result.candidates
            ],
            symptom_codes=matched.symptom_codes,
            scorer=result.scorer,
            scorer_version=result.scorer_version,
            no_known_failure=result.abstained,
            channels_off=result.channels_off,
            duration_ms=round(result.duration_ms, 3),
        )


async def _ticket(ticket_id: Annotated[Id, Path()]) -> Ticket:
    return await load_visible(ticket_id)


CurrentTicket = Annotated[Ticket, Depends(_ticket)]


@router.post("/match")
async def match(body: FailureMatchRequest, actor: CurrentActor) -> MatchOut:
    """Known failures that may explain a complaint, best first, each with the reasons."""
    case = body.case()
    return MatchOut.of(await matches.with_evidence(await matches.match(case, body.options(actor)), case))


@router.post("/match-ticket/{ticket_id}", responses=problems(404))
async def match_ticket(ticket: CurrentTicket, actor: CurrentActor, body: HowToMatch | None = None) -> MatchOut:
    """Match a ticket anew and note the suggestions on it, as happens by itself when it is created."""
    matched = await matches.match_ticket(ticket, (body or HowToMatch()).options(actor))
    return MatchOut.of(await matches.with_evidence(matched, ticket_case(ticket)))
