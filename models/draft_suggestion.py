"""Suggestions for a draft: what its author may take over, each with the sources it rests on."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id, new_id
from models.record import Record
from models.types import Line, Name, Share, ShortText, Strict, UtcDatetime


class SuggestedField(StrEnum):
    title = "title"
    root_cause = "root_cause"
    symptom = "symptom"
    resolution_step = "resolution_step"


class SourceKind(StrEnum):
    ticket = "ticket"
    action = "action"
    card = "card"


class Source(Strict):
    """The document a suggestion rests on, and its very words."""

    kind: SourceKind
    id: Id
    quote: ShortText


class Suggestion(Strict):
    """A guess until a person accepts it. `made_by` is `rules` or the name of a language model."""

    number: int
    field: SuggestedField
    text: Annotated[ShortText, Field(min_length=3)]
    why: ShortText = ""
    probability: Share | None = Field(default=None, description="Of the card that the guess is taken from.")
    sources: Annotated[list[Source], Field(min_length=1, max_length=10)]
    made_by: Name
    accepted_by: str | None = None
    accepted_at: UtcDatetime | None = None
    dismissed_by: str | None = None
    dismissed_at: UtcDatetime | None = None


class ModelStatus(StrEnum):
    off = "off"
    waiting = "waiting"
    done = "done"
    failed = "failed"


class DraftSuggestions(Record):
    """One round of suggestions for a card: those by rules at once, a language model's when it has answered."""

    id: str = Field(default_factory=lambda: new_id("suggestions"))
    card_id: Id
    suggestions: list[Suggestion] = []
    model_status: ModelStatus = ModelStatus.off
    model_note: Line | None = Field(default=None, description="Why the model gave nothing, or what was left out.")
    model_attempts: int = 0
    model_due_at: UtcDatetime | None = Field(default=None, description="When the model is to be asked next.")

    class Settings(Record.Settings):
        name = "draft_suggestions"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("card_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("model_due_at", ASCENDING)]),
        ]
