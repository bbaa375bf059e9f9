"""How far two cards describe the same failure, whoever wrote them and for whichever vehicle.

Channels of the index propose the cards that are worth a look; each of these is then compared in full, in both
directions, so that two cards are as like as each other whichever of them asks.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from matching.bm25 import Bm25, Weights
from matching.channels.exact import legal_codes
from matching.channels.keyword import K1, weighted_terms
from matching.channels.semantic import card_text
from matching.channels.vehicle import make_key, model_key, same_line
from matching.codes import SAME_CODE, affinity
from matching.embedding import EmbeddingFailed, unit_rows
from matching.index import CardIndex
from matching.query import Query
from matching.records import CardRecord, Case, VehicleRange
from matching.results import Reason
from matching.text import spelled_terms, terms

T = TypeVar("T")

PROPOSED = 30
"""Cards that each channel proposes: a near duplicate that two dozen others outdo in every channel is none."""

WEIGHTS = {
    "words": 0.30,
    "meaning": 0.20,
    "cause": 0.15,
    "symptoms": 0.15,
    "codes": 0.10,
    "vehicles": 0.05,
    "kind": 0.05,
}
"""What each trait counts. Vehicles count little: the same failure of another vehicle is what makes cards multiply."""
NAMED = 5
"""Shared words that a reason names."""
FEW = 200
"""Cards below which the collection is too small to tell which words are rare: they are weighed as among so many."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What two cards have in common, each in [0, 1]; None where one of them is silent.

    `words`: telling words, as the mean of √(there · back) and max(there, back), with `there` the share of one card's
    weight (idf times saturated frequency) that the other has, too. The greater direction speaks for a draft of two
    lines that says nothing which the long card does not. `meaning`: cosine of the embeddings above that of any two
    cards. `cause`: cosine over the idf of the root causes' words. `symptoms`: Dice coefficient of the symptom codes.
    `codes` and `vehicles`: mean over both cards of the best partner in the other. `kind`: 1 for the same subsystem and
    failure mode, ½ for one of them.
    """

    words: float
    kind: float
    meaning: float | None = None
    cause: float | None = None
    symptoms: float | None = None
    codes: float | None = None
    vehicles: float | None = None

    def known(self) -> dict[str, float]:
        return {name: value for name in WEIGHTS if (value := getattr(self, name)) is not None}

    @property
    def similarity(self) -> float:
        """Mean of the known traits by their WEIGHTS, in [0, 1]."""
        known = self.known()
        return sum(WEIGHTS[name] * value for name, value in known.items()) / sum(WEIGHTS[name] for name in known)


@dataclass(frozen=True, slots=True)
class Alike:
    """Another card that describes the same failure. The contributions of `reasons` add up to `similarity`."""

    card: CardRecord
    traits: Traits
    similarity: float
    reasons: tuple[Reason, ...]


class _Rarity(dict[str, float]):
    """The idf of terms, each worked out once: a comparison asks for the same ones again and again."""

    def __init__(self, engine: Bm25) -> None:
        super().__init__()
        self._engine = engine

    def __missing__(self, term: str) -> float:
        frequency = self._engine.frequency(term)
        total = max(self._engine.count, FEW)
        self[term] = found = math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))
        return found


class _Subject:
    """A card with everything that a comparison needs of it."""

    def __init__(self, card: CardRecord, words: Mapping[str, float], vector: np.ndarray | None) -> None:
        self.card = card
        self.words = words
        self.vector = vector
        self.codes = legal_codes(card.error_codes)
        self.cause = frozenset(terms(card.root_cause))


def alike(index: CardIndex, card: CardRecord, *, limit: int, least: float) -> list[Alike]:
    """The cards of the index whose similarity to this one is at least `least`, most similar first, ties by id.

    The card need not be in the index; if it is, it is compared as given, and not with itself. Retired cards are not in
    the index. Thread-safe. A card without words and codes resembles none; without an embedder meaning does not count.
    """
    channel = index.semantic
    vector = _vector(index, card)
    with index.lock:
        # Vectors of different embedders never meet: the embedder may have been exchanged while ours was at work.
        subject = _Subject(card, weighted_terms(card), vector if index.semantic is channel else None)
        rarity = _Rarity(index.keyword.engine)
        found = [(other, _traits(index, rarity, subject, other)) for other in _others(index, subject)]
        chosen = [(traits.similarity, other, traits) for other, traits in found if traits.similarity >= least]
        chosen.sort(key=lambda one: (-one[0], one[1].card.card_id))
        return [
            Alike(other.card, traits, similarity, _reasons(index, rarity, subject, other, traits))
            for similarity, other, traits in chosen[: max(0, limit)]
        ]


def _vector(index: CardIndex, card: CardRecord) -> np.ndarray | None:
    """The stored vector of a card that is in the index as it is; else embedded, outside the lock: models take time."""
    if index.get(card.card_id) == card and (stored := index.vector(card.card_id)) is not None:
        return stored
    text = card_text(card)
    if index.embedder is None or not text.strip():
        return None
    try:
        return unit_rows(index.embedder.embed([text]))[0]
    except EmbeddingFailed:
        return None


def _others(index: CardIndex, subject: _Subject) -> Iterator[_Subject]:
    own = index.slot_of(subject.card.card_id)
    for slot in _proposed(index, subject).tolist():
        if slot != own:
            words = index.keyword.engine.document(slot)
            yield _Subject(index.card_at(slot), words, index.semantic.vector(slot))


def _proposed(index: CardIndex, subject: _Subject) -> np.ndarray:
    """Slots of living cards that some channel finds near."""
    if not len(index):
        return np.empty(0, dtype=np.int32)
    alive, engine = index.alive.data, index.keyword.engine
    asked = engine.ask({term: _saturated(count) for term, count in subject.words.items()})
    slots = [engine.search(asked, PROPOSED, alive)[0]]
    slots.append(index.exact.search(Query(Case(error_codes=subject.card.error_codes)), PROPOSED, alive).slots)
    if subject.vector is not None:
        slots.append(index.semantic.store.search(subject.vector, PROPOSED, alive)[0])
    return np.unique(np.concatenate(slots))


def _traits(index: CardIndex, rarity: _Rarity, one: _Subject, other: _Subject) -> Traits:
    there, back = _share(rarity, one.words, other.words), _share(rarity, other.words, one.words)
    same = (one.card.subsystem == other.card.subsystem) + (one.card.failure_mode == other.card.failure_mode)
    return Traits(
        words=(math.sqrt(there * back) + max(there, back)) / 2,
        kind=same / 2,
        meaning=_meaning(index, one, other),
        cause=_cause(rarity, one.cause, other.cause),
        symptoms=_dice(set(one.card.symptom_codes), set(other.card.symptom_codes)),
        codes=_both_ways(one.codes, other.codes, affinity),
        vehicles=_both_ways(one.card.vehicles, other.card.vehicles, _same_model),
    )


def _saturated(count: float) -> float:
    return count / (count + K1)


def _weights(rarity: _Rarity, words: Mapping[str, float]) -> Weights:
    return {term: rarity[term] * _saturated(count) for term, count in words.items()}


def _share(rarity: _Rarity, own: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The part of a card's telling words that the other has, too."""
    weights = _weights(rarity, own)
    whole = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in other) / whole if whole else 0.0


def _meaning(index: CardIndex, one: _Subject, other: _Subject) -> float | None:
    """Models differ in how near any two texts of one trade are: what counts is how much nearer these two are."""
    if one.vector is None or other.vector is None:
        return None
    cosine = float(one.vector @ other.vector)
    usual = (_usual(index, one, cosine) + _usual(index, other, cosine)) / 2
    return min(1.0, max(0.0, (cosine - usual) / max(1e-6, 1 - usual)))


def _usual(index: CardIndex, one: _Subject, cosine: float) -> float:
    """Mean cosine with the cards of the index but itself and the one it is compared with; 0 if there are no others."""
    inside = one.card.card_id in index
    others = len(index) - 1 - inside
    if others <= 0 or one.vector is None:
        return 0.0
    whole = index.semantic.store.typical(one.vector) * len(index)
    return min(1.0, max(0.0, (whole - cosine - inside) / others))


def _cause(rarity: _Rarity, one: Collection[str], other: Collection[str]) -> float | None:
    if not one or not other:
        return None

    def weight(words: Collection[str]) -> float:
        return sum(rarity[word] for word in words)

    return weight(set(one) & set(other)) / math.sqrt(weight(one) * weight(other))


def _dice(one: set[str], other: set[str]) -> float | None:
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else None


def _both_ways(one: Collection[T], other: Collection[T], likeness: Callable[[T, T], float]) -> float | None:
    """Mean, over the members of both, of how like the most like member of the other is."""
    if not one or not other:
        return None
    there = sum(max(likeness(a, b) for b in other) for a in one) / len(one)
    back = sum(max(likeness(a, b) for a in one) for b in other) / len(other)
    return (there + back) / 2


def _same_model(one: VehicleRange, other: VehicleRange) -> float:
    if make_key(one.make) != make_key(other.make):
        return 0.0
    return float(same_line(model_key(one.model or ""), model_key(other.model or "")))


def _reasons(
    index: CardIndex, rarity: _Rarity, subject: _Subject, other: _Subject, traits: Traits
) -> tuple[Reason, ...]:
    """One sentence for each trait that both cards have, by what it adds to the similarity."""
    known = traits.known()
    whole = sum(WEIGHTS[name] for name in known)
    found = [
        Reason(name, _sentence(index, rarity, name, value, subject, other), WEIGHTS[name] * value / whole)
        for name, value in known.items()
        if value > 0
    ]
    return tuple(sorted(found, key=lambda reason: -reason.contribution))


def _sentence(index: CardIndex, rarity: _Rarity, name: str, value: float, one: _Subject, other: _Subject) -> str:
    match name:
        case "words":
            return f"both speak of {', '.join(_spoken(rarity, one, other))}"
        case "meaning":
            return f"they read alike ({value:.2f} above what any two cards do)"
        case "cause":
            return f"their root causes share {value:.0%} of the telling words"
        case "symptoms":
            shared = sorted(set(one.card.symptom_codes) & set(other.card.symptom_codes))
            return f"same symptoms: {', '.join(map(index.graph.symptom_name, shared))}"
        case "codes":
            shared_codes = sorted({str(a) for a in one.codes for b in other.codes if affinity(a, b) == SAME_CODE})
            return f"same codes: {', '.join(shared_codes)}" if shared_codes else "codes of the same kind"
        case "vehicles":
            return "same vehicles" if value == 1 else "some of the same vehicles"
        case _:
            return "same subsystem and failure mode" if value == 1 else "same subsystem or failure mode"


def _spoken(rarity: _Rarity, one: _Subject, other: _Subject) -> list[str]:
    """The words that say most of what both have, as the first card spells them; numbers alone say little."""
    weights = _weights(rarity, {term: n for term, n in one.words.items() if term in other.words})
    told = sorted(weights, key=lambda term: (not term.isalpha(), -weights[term], term))[:NAMED]
    card = one.card
    texts = (card.title, card.symptom_text, *card.symptom_phrases, card.root_cause, card.description)
    spelled = dict(reversed(spelled_terms(" . ".join(texts))))
    return [spelled.get(term, term) for term in told]
