"""Schemas that every capability uses."""

from collections.abc import Sequence
from typing import Annotated, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from services.paging import Page

T = TypeVar("T", bound=BaseModel)

Score = Annotated[float, PlainSerializer(lambda score: round(score, 8), return_type=float)]
"""A computed share or score: digits beyond the eighth are noise of the arithmetic."""


class Out(BaseModel):
    """Base of what the API shows of a document; read from its attributes."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")


class PageOut(BaseModel, Generic[T]):
    """One page of a list."""

    model_config = ConfigDict(from_attributes=True)

    items: Sequence[T]
    next: str | None = Field(default=None, description="Send it as `after` for the following page; null on the last.")

    @classmethod
    def of(cls, page: Page) -> Self:
        return cls.model_validate(page)
