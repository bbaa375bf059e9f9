"""A gold set in the words of the matching engine: its failures as cards, its complaints as decided cases."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from matching import CardIndex, CardRecord, Vehicle
from matching.language import telling
from matching.text import terms
from matching.training import Decision
from seeds.gold import content_of
from services.diagnosis.evaluation.gold import GoldSet
from services.diagnosis.translate import card_record
from services.knowledge.content import completed


@dataclass(frozen=True)
class Gold:
    """Cards, distractors and decided cases of a gold folder, and the fingerprint of its complaints."""

    cards: list[CardRecord]
    distractors: list[CardRecord]
    decisions: list[Decision]
    fingerprint: str


def load(folder: Path) -> Gold:
    """Raises Invalid for a folder that cannot be read."""
    gold = GoldSet.read(folder)
    cards, distractors = ([_card(row) for row in rows.values()] for rows in (gold.corpus, gold.distractors))
    return Gold(cards, distractors, list(gold.decisions.values()), gold.fingerprint)


def without_vehicle(decisions: Iterable[Decision]) -> list[Decision]:
    """The same complaints with nothing known of the vehicle."""
    return [replace(decision, case=replace(decision.case, vehicle=Vehicle())) for decision in decisions]


def without_year(decisions: Iterable[Decision]) -> list[Decision]:
    """The same complaints with the model year unknown."""
    return [
        replace(decision, case=replace(decision.case, vehicle=replace(decision.case.vehicle, year=None)))
        for decision in decisions
    ]


def gists(decisions: Iterable[Decision], words: int, index: CardIndex) -> list[Decision]:
    """The same complaints cut to the run of so many words that tells most, by how rare they are among the cards."""
    return [
        replace(decision, case=replace(decision.case, text=_gist(decision.case.text.split(), words, index)))
        for decision in decisions
    ]


def _gist(said: list[str], words: int, index: CardIndex) -> str:
    engine = index.keyword.engine
    rarity = [sum(engine.idf(term) * telling(term) for term in terms(word) if engine.frequency(term)) for word in said]
    told = np.convolve(rarity, np.ones(words), "valid") if len(said) > words else np.zeros(1)
    start = int(np.argmax(told))
    return " ".join(said[start : start + words])


def _card(row: dict[str, Any]) -> CardRecord:
    """The card as the recall importer makes it and the live index reads it."""
    content = completed(content_of(row))
    stored = content.model_dump()
    signature_hash = content.failure_signature.signature_hash if content.failure_signature else ""
    return card_record({**STORED, **stored, "_id": row["_id"], "signature_hash": signature_hash})


STORED = {
    "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    "revision": 1,
    "version": 1,
    "status": "approved",
    "effectiveness_score": 0.0,
    "confidence_score": 0.5,
    "confidence_level": "medium",
    "evidence_low": 0.0,
    "evidence_n": 0,
    "usage_count": 0,
}
"""What the store adds to a card's content."""
