"""Schemas that every capability uses."""

from collections.abc import Sequence
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from services.paging import Page

T = TypeVar("T", bound=BaseModel)


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
