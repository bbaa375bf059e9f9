"""Overlap channel: the keyword stage of the spec's pipeline (5.1), 0.3 + 0.1 per shared keyword, at most 0.8."""

import numpy as np

from matching.channels.base import Channel, Hits, share_out
from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason
from matching.storage import Postings, top
from matching.text import keyword_terms, keywords

BASE, PER_KEYWORD, CEILING = 0.3, 0.1, 0.8


def card_keywords(card: CardRecord) -> frozenset[str]:
    """The card's keywords as terms; for a card without any, those its title and symptoms yield."""
    given = keyword_terms(card.keywords)
    return given or frozenset(keywords("\n".join((card.title, card.symptom_text, *card.symptom_phrases))))


class OverlapChannel(Channel):
    name = "overlap"

    def __init__(self) -> None:
        self._postings = Postings()
        self._keywords: dict[int, frozenset[str]] = {}
        self._slots = 0

    def add(self, slot: int, card: CardRecord) -> None:
        self._slots = slot + 1
        own = card_keywords(card)
        self._keywords[slot] = own
        self._postings.add(slot, own)

    def remove(self, slot: int, card: CardRecord) -> None:
        self._postings.remove(slot, self._keywords.pop(slot))

    def search(self, query: Query, limit: int, allowed: np.ndarray) -> Hits:
        counts = np.zeros(self._slots, dtype=np.float32)
        for keyword in query.keywords:
            counts[self._postings.slots(keyword)] += 1
        slots = top(counts, limit, allowed)
        return Hits.of(slots, _stage_score(counts[slots]))

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        shared = [len(query.keywords & self._keywords.get(int(slot), frozenset())) for slot in slots]
        return _stage_score(np.array(shared, dtype=np.float32))

    def explain(self, query: Query, slot: int) -> list[Reason]:
        shared = query.keywords & self._keywords.get(slot, frozenset())
        score = float(_stage_score(np.array([len(shared)], dtype=np.float32))[0])
        return share_out(self.name, score, [(f"keyword “{query.surface(keyword)}”", 1.0) for keyword in sorted(shared)])


def _stage_score(counts: np.ndarray) -> np.ndarray:
    scores = np.minimum(np.float32(CEILING), np.float32(BASE) + np.float32(PER_KEYWORD) * counts)
    return np.where(counts > 0, scores, np.float32(0))
