"""Models of the calibrated scorer: what was learnt from technicians' decisions, and which model serves."""

import json
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Depends, Path
from pydantic import BaseModel, Field

from models.match_model import MatchModel, TrainingRecord
from models.record import ActorRef
from routes.api.http import api_router
from routes.api.problems import problems
from services.diagnosis.training import models

router = api_router("/efi/match-models", tag="matching")

Version = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,60}$", description="For instance decisions-3.")]


class MatchModelOut(BaseModel):
    version: str
    active: bool = Field(description="Whether it serves; every replica follows within seconds.")
    base: str = Field(description="The shipped prior that it was learnt from; itself for the prior.")
    refused: str = Field(description="Why it did not pass its trial; empty if it did.")
    record: TrainingRecord | None = Field(description="What it was learnt from, and its figures; null for the prior.")
    created_at: datetime
    activated_at: datetime | None = Field(description="When it was last put into service.")
    activated_by: ActorRef | None

    @classmethod
    def of(cls, model: MatchModel, active: MatchModel) -> Self:
        return cls(
            version=model.id,
            active=model.id == active.id,
            base=model.base,
            refused=model.refused,
            record=model.record,
            created_at=model.created_at,
            activated_at=model.activated_at,
            activated_by=model.activated_by,
        )


class MatchModelsOut(BaseModel):
    items: list[MatchModelOut]
    active: str = Field(description="Version of the model that serves.")


class MatchModelDetailOut(MatchModelOut):
    parameters: dict[str, Any] | None = Field(description="The weights, readable; null for the prior and refused ones.")


async def _load(version: Version) -> MatchModel:
    return await models.get(version)


CurrentModel = Annotated[MatchModel, Depends(_load)]


@router.get("")
async def list_match_models() -> MatchModelsOut:
    """All of them, the latest training first, the shipped prior last. There is one a day at most, so no pages."""
    active = await models.active()
    return MatchModelsOut(
        items=[MatchModelOut.of(model, active) for model in await models.all_models()], active=active.id
    )


@router.get("/{version}", responses=problems(404))
async def get_match_model(model: CurrentModel) -> MatchModelDetailOut:
    """One model with its weights."""
    told = MatchModelOut.of(model, await models.active())
    parameters = json.loads(model.parameters) if model.parameters else None
    return MatchModelDetailOut(**dict(told), parameters=parameters)


@router.post("/{version}/activate", responses=problems(404, 409))
async def activate_match_model(model: CurrentModel) -> MatchModelOut:
    """Go back to an earlier model or to the shipped prior, or forward again. The next training may replace it."""
    activated = await models.activate(model)
    return MatchModelOut.of(activated, await models.active())
