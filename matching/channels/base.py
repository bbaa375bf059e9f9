"""What every channel promises. tests/matching/test_channels.py runs the same checks on all of them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason


@dataclass(frozen=True, slots=True)
class Hits:
    """Slots and their scores, best first."""

    slots: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, slots: np.ndarray, scores: np.ndarray) -> "Hits":
        return cls(np.asarray(slots, dtype=np.int32), np.asarray(scores, dtype=np.float32))

    @classmethod
    def none(cls) -> "Hits":
        return cls.of(np.empty(0), np.empty(0))

    def __len__(self) -> int:
        return len(self.slots)


class Channel(ABC):
    """One way of finding cards. Holds its own part of the index, knows cards only by slot.

    Scores are finite, in [0, 1] ([-1, 1] where a channel can speak against a card), and equal for equal input however
    the card came in. `search` proposes cards, `score` judges any card, and what `explain` says adds up to `score`.
    """

    name: ClassVar[str]
    off: str | None = None
    """Why the channel cannot serve, None while it can."""

    def off_for(self, query: Query) -> str | None:
        """Why the channel cannot serve this query, None if it can."""
        return self.off

    @abstractmethod
    def add(self, slot: int, card: CardRecord) -> None:
        """Takes in a card under a slot not in use, behind all others of its block (`matching.slots`)."""

    @abstractmethod
    def remove(self, slot: int, card: CardRecord) -> None:
        """Forgets the card that was added under this slot."""

    def release(self, block: int) -> None:  # noqa: B027 - most channels keep nothing by block
        """Gives back the memory of a block of slots all of which have been removed."""

    @abstractmethod
    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        """The best cards by this channel alone, among slots whose entry in the boolean array `allowed` is true.

        Channels that could propose nearly every card add the `limit` best among the `favoured` slots: the right card
        of a rare vehicle must not be crowded out by those of common ones.
        """

    @abstractmethod
    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        """Float32 scores of the given slots."""

    @abstractmethod
    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        """Reasons whose contributions sum to `score`, which is what `score` said of the slot, strongest first."""


def share_out(channel: str, score: float, parts: list[tuple[str, float]]) -> list[Reason]:
    """Reasons that split `score` over texts in proportion to their weights."""
    total = sum(weight for _, weight in parts)
    if total <= 0:
        return []
    return [Reason(channel, text, score * weight / total) for text, weight in sorted(parts, key=lambda part: -part[1])]
