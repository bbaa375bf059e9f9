"""How much two cards say the same: near duplicates, to be read together or merged. Pure functions."""

from collections.abc import Iterable

from matching.language import telling
from matching.text import terms
from models.failure_card import CardContent
from services.knowledge.content import DRAFT_MARK

NEAR_DUPLICATE = 0.5
"""Share of telling words in common from which two cards are related. The different failures of the starter knowledge
share a third at most, nearly all of them less than a fifth."""
MAX_DUPLICATES = 10


def similarity(one: CardContent, other: CardContent) -> float:
    """From 0 to 1: words in common, weighed by how telling they are, over all words of both (weighted Jaccard).

    What is noticed and what is the cause are compared apart: the same symptom of another cause is another failure.
    """
    noticed = _overlap(_noticed(one), _noticed(other))
    cause = _overlap((one.root_cause,), (other.root_cause,))
    return round((noticed + cause) / 2, 4)


def _noticed(card: CardContent) -> Iterable[str]:
    return (card.title.removeprefix(DRAFT_MARK), card.symptom_text, *(symptom.description for symptom in card.symptoms))


def _overlap(one: Iterable[str], other: Iterable[str]) -> float:
    first, second = (set(terms(" . ".join(texts))) for texts in (one, other))
    whole = sum(map(telling, first | second))
    return sum(map(telling, first & second)) / whole if whole else 0.0
