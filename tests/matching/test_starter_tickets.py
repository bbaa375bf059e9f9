"""Workshop tickets against the starter knowledge: a small collection of cards, quite unlike the one the shipped weights
were learnt on."""

from datetime import UTC, datetime

import pytest

from matching import CardIndex, CardRecord, Embedder, HashingEmbedder, Matcher, MatchResult, Symptom
from matching.evaluation import auroc
from matching.minilm import MiniLMEmbedder
from seeds.starter import load_starter
from services.diagnosis.translate import card_record
from tests.matching.starter_tickets import KNOWN, UNKNOWN

STORED = {
    "version": 1,
    "revision": 1,
    "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    "status": "approved",
    "effectiveness_score": 0.0,
    "confidence_score": 0.5,
    "confidence_level": "medium",
    "evidence_low": 0.0,
    "evidence_n": 0,
    "usage_count": 0,
}


@pytest.fixture(scope="module")
def knowledge() -> tuple[list[CardRecord], list[Symptom]]:
    starter = load_starter()
    cards = []
    for key, content in starter.cards:
        signature_hash = content.failure_signature.signature_hash if content.failure_signature else ""
        cards.append(card_record({**STORED, **content.model_dump(), "_id": key, "signature_hash": signature_hash}))
    symptoms = [Symptom(one.symptom_code, one.name, tuple(one.synonyms)) for one in starter.symptoms]
    return cards, symptoms


def answers(
    knowledge: tuple[list[CardRecord], list[Symptom]], embedder: Embedder | None
) -> tuple[dict[str, MatchResult], dict[str, MatchResult]]:
    """What the tickets with a card, and those without, are told."""
    cards, symptoms = knowledge
    index = CardIndex(embedder, symptoms=symptoms)
    index.upsert_many(cards)
    matcher = Matcher(index)
    known = {name: matcher.match(case, scorer="calibrated") for name, (case, _) in KNOWN.items()}
    return known, {name: matcher.match(case, scorer="calibrated") for name, case in UNKNOWN.items()}


def belief(known: dict[str, MatchResult], unknown: dict[str, MatchResult]) -> float:
    """AUROC of the probability that some card explains a ticket."""
    return auroc(*([1 - one.none_probability for one in found.values()] for found in (known, unknown)))


def test_with_the_sentence_model_brief_tickets_are_answered_and_strange_ones_are_not(
    knowledge: tuple[list[CardRecord], list[Symptom]], sentence_model: MiniLMEmbedder
) -> None:
    known, unknown = answers(knowledge, sentence_model)
    first = [name for name, found in known.items() if found.candidates[0].card_id in KNOWN[name][1]]
    assert len(first) >= 13
    assert sum(bool(found.abstained) for found in known.values()) <= 1
    assert sum(not found.abstained for found in unknown.values()) <= 3
    assert belief(known, unknown) > 0.95


@pytest.mark.parametrize("embedder", [None, HashingEmbedder()])
def test_most_tickets_find_their_card_and_strange_ones_none(
    knowledge: tuple[list[CardRecord], list[Symptom]], embedder: Embedder | None
) -> None:
    known, unknown = answers(knowledge, embedder)
    first = [name for name, found in known.items() if found.candidates[0].card_id in KNOWN[name][1]]
    third = [n for n, found in known.items() if {c.card_id for c in found.candidates[:3]} & KNOWN[n][1]]
    # Without a sentence model, and with three tickets on vehicles that the right card does not list.
    assert len(first) >= 12
    assert len(third) >= 14
    assert sum(bool(found.abstained) for found in known.values()) <= 5
    assert sum(not found.abstained for found in unknown.values()) <= 2
    assert belief(known, unknown) > 0.9
