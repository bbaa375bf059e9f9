"""Keyword channel: BM25 over weighted fields (BM25F, Robertson & Zaragoza 2009).

Field weights multiply term frequencies before saturation, so that a term in title and symptoms counts once, strongly.
"""

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from matching.bm25 import Asked, Bm25, Weights
from matching.channels.base import Channel, Hits, share_out
from matching.language import telling
from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason
from matching.spelling import Vocabulary, common_word
from matching.text import keyword_terms, keywords, terms

K1, B = 1.5, 0.5

HINT_WEIGHT = 0.3
"""Of the words of a symptom that the complaint describes in others, beside 1 for its own words."""

FIELD_WEIGHTS = {
    "title": 1.5,
    "symptom_text": 1.0,
    "symptom_phrases": 1.5,
    "root_cause": 1.0,
    "description": 0.7,
    "resolution": 1.0,
    "components": 1.0,
    "keywords": 0.5,
    "error_codes": 1.0,
}


def weighted_terms(card: CardRecord) -> Weights:
    """Term frequencies of a card, summed over its fields by their weights."""
    total: Counter[str] = Counter()
    for name, text in _passages(card):
        for term in terms(text):
            total[term] += FIELD_WEIGHTS[name]
    return dict(total)


def card_keywords(card: CardRecord) -> frozenset[str]:
    """The card's keywords as terms; for a card without any, those its title and symptoms yield."""
    given = keyword_terms(card.keywords)
    return given or frozenset(keywords("\n".join((card.title, card.symptom_text, *card.symptom_phrases))))


def _passages(card: CardRecord) -> Iterator[tuple[str, str]]:
    """Field name and text; text that a field before it already holds, as imported cards often do, is left out."""
    seen: list[str] = []
    for name in FIELD_WEIGHTS:
        value = getattr(card, name)
        for text in (value,) if isinstance(value, str) else value:
            if text and not any(text in earlier for earlier in seen):
                yield name, text
                seen.append(text)


class KeywordChannel(Channel):
    """Scores are BM25 divided by the greatest value the complaint could reach, hence in [0, 1]."""

    name = "keyword"

    def __init__(self) -> None:
        self.engine = Bm25(K1, B)
        self.spelling = Vocabulary(self.engine)

    def add(self, slot: int, card: CardRecord) -> None:
        # Nearly all keywords are among the terms: the channel of shared keywords needs no postings of its own.
        self.engine.add(slot, weighted_terms(card), card_keywords(card))
        self.spelling.follow()

    def remove(self, slot: int, card: CardRecord) -> None:
        self.engine.remove(slot)

    def release(self, block: int) -> None:
        self.engine.release(block)

    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        asked = self._ask(query)
        if asked.ceiling <= 0:
            return Hits.none()
        slots, scores = self.engine.search(asked, limit, allowed, favoured)
        return Hits.of(slots, scores / np.float32(asked.ceiling))

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        asked = self._ask(query)
        if asked.ceiling <= 0:
            return np.zeros(len(slots), dtype=np.float32)
        return self.engine.score(asked, slots) / np.float32(asked.ceiling)

    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        asked = self._ask(query)
        parts = self.engine.parts(asked, slot)
        if asked.ceiling <= 0 or not parts:
            return []
        named = [(_named(query, term), weight) for term, weight in parts]
        return share_out(self.name, sum(weight for _, weight in parts) / asked.ceiling, named)

    def ceiling(self, query: Query) -> float:
        """The greatest BM25 the complaint could reach, by which scores are divided; 0 for one without terms."""
        return self._ask(query).ceiling

    def _ask(self, query: Query) -> Asked:
        """The complaint's terms, damped where they repeat and where every owner writes them.

        Terms no card has count for the ceiling: a complaint the knowledge does not speak of must not look covered.
        """
        if self.name not in query.memo:
            weights: Counter[str] = Counter()
            for term, count in query.term_counts.items():
                correction = query.corrections.get(term)
                read, trust = (term, 1.0) if correction is None else (correction.term, correction.trust)
                weights[read] += trust * math.sqrt(count) * telling(read)
            for term in query.hints:
                if term not in weights:
                    weights[term] = HINT_WEIGHT * telling(term)
            query.memo[self.name] = self.engine.ask(weights)
        return query.memo[self.name]


def _named(query: Query, term: str) -> str:
    """How a term came into the question: written so, misspelt, or meant by a symptom."""
    if term in query.term_counts:
        return f"“{query.surface(term)}”"
    for written, correction in query.corrections.items():
        if correction.term == term:
            return f"“{query.surface(written)}” read as “{correction.word}”"
    return f"“{common_word(term)}” for the symptom “{query.hints[term]}”"
