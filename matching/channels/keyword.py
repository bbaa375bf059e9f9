"""Keyword channel: BM25 over weighted fields (BM25F, Robertson & Zaragoza 2009).

Field weights multiply term frequencies before saturation, so that a term in title and symptoms counts once, strongly.
"""

import math
from collections import Counter

import numpy as np

from matching.channels.base import Channel, Hits, share_out
from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason
from matching.storage import Column, Postings, top
from matching.text import terms

K1, B = 1.2, 0.75

FIELD_WEIGHTS = {
    "title": 2.0,
    "symptom_text": 1.0,
    "symptom_phrases": 1.5,
    "root_cause": 1.0,
    "description": 0.7,
    "components": 1.5,
    "keywords": 1.0,
    "error_codes": 1.0,
}


def weighted_terms(card: CardRecord) -> dict[str, float]:
    """Term frequencies of a card, summed over its fields by their weights."""
    total: Counter[str] = Counter()
    for name, weight in FIELD_WEIGHTS.items():
        value = getattr(card, name)
        for text in (value,) if isinstance(value, str) else value:
            for term in terms(text):
                total[term] += weight
    return dict(total)


class KeywordChannel(Channel):
    name = "keyword"

    def __init__(self) -> None:
        self._postings = Postings()
        self._terms: dict[int, dict[str, float]] = {}
        self._lengths = Column(np.float32)
        self._total_length = 0.0

    def add(self, slot: int, card: CardRecord) -> None:
        weights = weighted_terms(card)
        self._terms[slot] = weights
        self._postings.add(slot, weights)
        self._lengths[slot] = length = sum(weights.values())
        self._total_length += length

    def remove(self, slot: int, card: CardRecord) -> None:
        weights = self._terms.pop(slot)
        self._postings.remove(weights)
        self._total_length -= float(self._lengths[slot])

    def search(self, query: Query, limit: int, allowed: np.ndarray) -> Hits:
        mass = self.mass(query)
        if mass <= 0:
            return Hits.none()
        scores = np.zeros(self._lengths.size, dtype=np.float32)
        norms = self._norms(self._lengths.data)
        for term, count in query.term_counts.items():
            posting = self._postings.lists.get(term)
            if posting is not None:
                slots, weights = posting.slots.data, posting.weights.data
                scores[slots] += np.float32(count * self.idf(term) * (K1 + 1)) * weights / (weights + norms[slots])
        slots = top(scores, limit, allowed)
        return Hits.of(slots, scores[slots] / np.float32(mass))

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        mass = self.mass(query)
        if mass <= 0:
            return np.zeros(len(slots), dtype=np.float32)
        return np.array([sum(w for _, w in self._parts(query, int(slot))) / mass for slot in slots], dtype=np.float32)

    def explain(self, query: Query, slot: int) -> list[Reason]:
        mass = self.mass(query)
        parts = self._parts(query, slot)
        if mass <= 0 or not parts:
            return []
        return share_out(self.name, sum(w for _, w in parts) / mass, [(f"term “{term}”", w) for term, w in parts])

    def idf(self, term: str) -> float:
        """Inverse document frequency in Lucene's form, positive for every term."""
        frequency = self._postings.frequency(term)
        return math.log(1 + (len(self._terms) - frequency + 0.5) / (frequency + 0.5))

    def mass(self, query: Query) -> float:
        """The greatest BM25 score this query could reach; dividing by it brings scores into [0, 1].

        A term no card contains still counts: a complaint the knowledge does not speak of must not look well covered.
        """
        if self.name not in query.memo:
            query.memo[self.name] = (K1 + 1) * sum(count * self.idf(term) for term, count in query.term_counts.items())
        return query.memo[self.name]

    def _norms(self, lengths: np.ndarray) -> np.ndarray:
        mean = self._total_length / max(1, len(self._terms))
        return np.float32(K1) * (np.float32(1 - B) + np.float32(B / max(mean, 1e-9)) * lengths)

    def _parts(self, query: Query, slot: int) -> list[tuple[str, float]]:
        own = self._terms.get(slot, {})
        norm = float(self._norms(self._lengths[slot]))
        return [
            (term, count * self.idf(term) * (K1 + 1) * own[term] / (own[term] + norm))
            for term, count in query.term_counts.items()
            if term in own
        ]
