"""Phrases of tickets that the symptom library does not know, for experts to decide on."""

from typing import Annotated

from fastapi import Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from app.ids import Id
from models.enums import SubsystemCategory
from models.symptom import SymptomContent
from models.symptom_candidate import CandidateStatus, Spelling, SymptomCandidate
from models.types import ShortText, Strict, SymptomCode, UtcDatetime
from routes.api.deps import PageQuery
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import PageOut, Score
from routes.api.symptoms import SymptomBody, SymptomOut
from services.diagnosis import matches
from services.knowledge import candidates

router = api_router("/efi/symptom-candidates", tag="symptoms")


class CandidateOut(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="ignore")

    candidate_id: str = Field(validation_alias="id")
    status: CandidateStatus
    spellings: list[Spelling] = Field(description="How it is written, the commonest first.")
    tickets: int = Field(description="How many contain it.")
    ticket_ids: list[str] = Field(description="The latest of them.")
    first_seen: UtcDatetime
    last_seen: UtcDatetime
    symptom_code: str | None = Field(description="The symptom that it became, or is a wording of.")
    decided_by: str | None
    decided_at: UtcDatetime | None
    reason: str


class ListedCandidateOut(CandidateOut):
    text: str
    subsystem: SubsystemCategory | None = Field(description="What most of its tickets are about.")
    surprise: Score = Field(
        description="Root of the log-likelihood ratio: how much more often its words stand together than by chance."
    )


class MergeBody(Strict):
    symptom_code: SymptomCode


class DropBody(Strict):
    reason: ShortText = ""


async def _load(candidate_id: Annotated[Id, Path()]) -> SymptomCandidate:
    return await candidates.get(candidate_id)


CurrentCandidate = Annotated[SymptomCandidate, Depends(_load)]


@router.get("")
async def list_symptom_candidates(page: PageQuery) -> PageOut[ListedCandidateOut]:
    """Those of most tickets first."""
    found = await candidates.list_candidates(matches.serving().wordings, **page.as_arguments())
    items = [
        ListedCandidateOut.model_validate(
            {
                **one.candidate.model_dump(),
                "text": one.text,
                "subsystem": one.subsystem,
                "surprise": one.surprise,
            }
        )
        for one in found.items
    ]
    return PageOut[ListedCandidateOut](items=items, next=found.next)


@router.get("/{candidate_id}", responses=problems(404))
async def get_symptom_candidate(candidate: CurrentCandidate) -> CandidateOut:
    return CandidateOut.model_validate(candidate)


@router.post("/{candidate_id}/accept", status_code=201, responses=problems(404, 409))
async def accept_symptom_candidate(candidate: CurrentCandidate, body: SymptomBody) -> SymptomOut:
    """Make it a symptom; how it is written joins the synonyms. Matching knows it at once."""
    return SymptomOut.model_validate(
        await candidates.accept(candidate, SymptomContent.model_validate(body.model_dump()))
    )


@router.post("/{candidate_id}/merge", responses=problems(404, 409, 412))
async def merge_symptom_candidate(candidate: CurrentCandidate, body: MergeBody) -> SymptomOut:
    """Make it a wording of a symptom that the library has."""
    return SymptomOut.model_validate(await candidates.merge(candidate, body.symptom_code))


@router.post("/{candidate_id}/drop", responses=problems(404, 409, 412))
async def drop_symptom_candidate(candidate: CurrentCandidate, body: DropBody) -> CandidateOut:
    """Never show it again."""
    return CandidateOut.model_validate(await candidates.drop(candidate, body.reason))
