"""Overlap channel: the keyword stage of the spec's pipeline (5.1), 0.3 + 0.1 per shared keyword, at most 0.8.

It keeps nothing of its own: the keyword channel marks which of a card's terms are its keywords.
"""

import numpy as np

from matching.bm25 import Asked, Bm25
from matching.channels.base import Channel, Hits, share_out
from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason

BASE, PER_KEYWORD, CEILING = 0.3, 0.1, 0.8


class OverlapChannel(Channel):
    name = "overlap"

    def __init__(self, engine: Bm25) -> None:
        self.engine = engine

    def add(self, slot: int, card: CardRecord) -> None:
        """Nothing to do, nor is there in `remove`: the keyword channel has taken in the card, or does."""

    def remove(self, slot: int, card: CardRecord) -> None:
        pass

    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        slots, counts = self.engine.search(self._ask(query), limit, allowed, favoured)
        return Hits.of(slots, _stage_score(counts))

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        return _stage_score(self.engine.score(self._ask(query), slots))

    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        shared = sorted(self.engine.parts(self._ask(query), slot))
        return share_out(self.name, score, [(f"keyword “{query.surface(keyword)}”", 1.0) for keyword, _ in shared])

    def _ask(self, query: Query) -> Asked:
        if self.name not in query.memo:
            query.memo[self.name] = self.engine.ask_marked(sorted(query.keywords))
        return query.memo[self.name]


def _stage_score(counts: np.ndarray) -> np.ndarray:
    """Float32 scores of float32 counts, which are whole numbers for certain: sums of ones."""
    scores = np.minimum(np.float32(CEILING), np.float32(BASE) + np.float32(PER_KEYWORD) * counts)
    return np.where(counts > 0, scores, np.float32(0))
