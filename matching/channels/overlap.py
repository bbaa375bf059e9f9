"""Overlap channel: the keyword stage of the spec's pipeline (5.1), 0.3 + 0.1 per shared keyword, at most 0.8."""

import numpy as np

from matching.bm25 import Asked, Bm25
from matching.channels.base import Channel, Hits, share_out
from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason
from matching.text import keyword_terms, keywords

BASE, PER_KEYWORD, CEILING = 0.3, 0.1, 0.8


def card_keywords(card: CardRecord) -> frozenset[str]:
    """The card's keywords as terms; for a card without any, those its title and symptoms yield."""
    given = keyword_terms(card.keywords)
    return given or frozenset(keywords("\n".join((card.title, card.symptom_text, *card.symptom_phrases))))


class OverlapChannel(Channel):
    name = "overlap"

    def __init__(self) -> None:
        # Without saturation (k1 = 0) every shared term adds its weight alone: see `_ask`.
        self.engine = Bm25(k1=0, b=0)

    def add(self, slot: int, card: CardRecord) -> None:
        self.engine.add(slot, dict.fromkeys(sorted(card_keywords(card)), 1.0))

    def remove(self, slot: int, card: CardRecord) -> None:
        self.engine.remove(slot)

    def release(self, block: int) -> None:
        self.engine.release(block)

    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        slots, counts = self.engine.search(self._ask(query), limit, allowed, favoured)
        return Hits.of(slots, _stage_score(counts))

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        return _stage_score(self.engine.score(self._ask(query), slots))

    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        shared = self.engine.parts(self._ask(query), slot)
        score = float(_stage_score(np.array([len(shared)]))[0])
        return share_out(self.name, score, [(f"keyword “{query.surface(keyword)}”", 1.0) for keyword, _ in shared])

    def _ask(self, query: Query) -> Asked:
        """Weights that undo the rarity of terms, so that a score is the number of shared keywords."""
        if self.name not in query.memo:
            weights = {keyword: 1 / self.engine.idf(keyword) for keyword in sorted(query.keywords)}
            query.memo[self.name] = self.engine.ask(weights)
        return query.memo[self.name]


def _stage_score(counts: np.ndarray) -> np.ndarray:
    whole = np.rint(counts).astype(np.float32)
    scores = np.minimum(np.float32(CEILING), np.float32(BASE) + np.float32(PER_KEYWORD) * whole)
    return np.where(whole > 0, scores, np.float32(0))
