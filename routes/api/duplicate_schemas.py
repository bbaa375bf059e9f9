"""What the routes about near duplicates and merging take and show."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from app.errors import Unavailable
from app.ids import Id
from models.enums import FailureCardStatus
from models.failure_card import FailureCard
from models.types import Strict
from routes.api.card_schemas import CardBody, CardOut, Reason
from routes.api.schemas import Out, Score
from services.diagnosis import duplicates
from services.knowledge.combining import FIELDS

TakenField = StrEnum("TakenField", {field: field for field in FIELDS})
"""A field whose value can be taken over from the retired card."""


class LikenessReason(Out):
    trait: str = Field(
        validation_alias="channel", description="words, meaning, cause, symptoms, codes, vehicles or kind."
    )
    text: str
    contribution: Score = Field(description="Its part of the similarity.")


class DifferingFact(Out):
    """A field in which two cards differ, as lines of text."""

    field: str = Field(examples=["error_codes"])
    here: list[str] = Field(description="What only the card says that was asked about.")
    there: list[str] = Field(description="What only the near duplicate says.")
    both: list[str]


class NearDuplicateOut(Out):
    """A card that probably describes the same failure."""

    failure_id: str = Field(validation_alias="card_id")
    title: str
    version: int
    status: FailureCardStatus
    similarity: Score = Field(description="0 to 1; the reasons add up to it.")
    reasons: list[LikenessReason]
    differences: list[DifferingFact]


class NearDuplicatesOut(Out):
    failure_id: str
    items: list[NearDuplicateOut] = Field(description="Most similar first.")


class WrittenCardOut(CardOut):
    """A card as it was just written, and what it resembles."""

    near_duplicates: list[NearDuplicateOut] | None = Field(
        default=None,
        description="Cards that probably describe the same failure; null where it was not looked for: the card is no "
        "draft, or there is no matching index at the moment.",
    )

    @classmethod
    async def compared(cls, card: FailureCard, *, inside: bool) -> Self:
        """With its near duplicates, as long as it has not been approved."""
        return cls.of(card, inside=inside).model_copy(update={"near_duplicates": await near_duplicates(card)})


async def near_duplicates(card: FailureCard) -> list[NearDuplicateOut] | None:
    """Of a card that is still to be decided; None for others, and while there is no index."""
    if card.status not in (FailureCardStatus.draft, FailureCardStatus.pending_review):
        return None
    try:
        return [NearDuplicateOut.model_validate(one) for one in await duplicates.near_duplicates(card)]
    except Unavailable:
        return None


class Merging(Strict):
    """How two cards become one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "into": "fc_0v7k3m2x9qd4hz6t1b8n",
                    "take": ["error_codes", "vehicle_models", "symptoms"],
                    "reason": "The same burnt balancing board, written twice",
                }
            ]
        }
    )

    into: Id = Field(description="The card that survives.")
    into_edition: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Its ETag as it was read; 412 if it has changed. Needed with `content`."
    )
    take: Annotated[list[TakenField], Field(max_length=len(FIELDS))] = Field(
        default=[],
        description="Fields whose values are taken over: entries of lists are added, texts stand below the survivor's, "
        "single values replace its own.",
    )
    content: CardBody | None = Field(default=None, description="Instead of `take`: the survivor's whole content.")
    reason: Reason

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.content is not None and (self.take or self.into_edition is None):
            raise ValueError("content stands instead of take, and needs into_edition")
        return self
