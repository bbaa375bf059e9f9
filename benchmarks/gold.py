"""A folder of relevance judgements (queries, corpus, qrels) in the words of the matching engine.

Files: queries.jsonl, queries_nomatch.jsonl, corpus.jsonl, qrels.tsv, qrels_siblings.tsv, optional corpus_extra.jsonl.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matching import CardRecord, Case, Vehicle
from matching.training import Decision
from seeds.gold import content_of
from services.diagnosis.translate import card_record
from services.knowledge.content import completed


@dataclass(frozen=True)
class Gold:
    """Cards, distractors and decided cases of a gold folder."""

    cards: list[CardRecord]
    distractors: list[CardRecord]
    decisions: list[Decision]


def load(folder: Path) -> Gold:
    relevant, siblings = _judgements(folder / "qrels.tsv"), _judgements(folder / "qrels_siblings.tsv")
    cards = [_card(row) for row in _rows(folder / "corpus.jsonl")]
    extra = folder / "corpus_extra.jsonl"
    known = {card.card_id for card in cards}
    group = _groups(relevant.values())
    decisions = []
    for query in _rows(folder / "queries.jsonl"):
        right = relevant[query["_id"]] & known
        if right:
            case, own = _case(query), frozenset(right)
            decisions.append(Decision(case, own, group[min(right)], frozenset(siblings[query["_id"]]) - own))
    decisions += [Decision(_case(q), frozenset(), q["_id"]) for q in _rows(folder / "queries_nomatch.jsonl")]
    return Gold(cards, [_card(row) for row in _rows(extra)] if extra.exists() else [], decisions)


def without_vehicle(decisions: Iterable[Decision]) -> list[Decision]:
    """The same complaints with nothing known of the vehicle."""
    return [replace(decision, case=replace(decision.case, vehicle=Vehicle())) for decision in decisions]


def without_year(decisions: Iterable[Decision]) -> list[Decision]:
    """The same complaints with the model year unknown."""
    return [
        replace(decision, case=replace(decision.case, vehicle=replace(decision.case.vehicle, year=None)))
        for decision in decisions
    ]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _judgements(path: Path) -> defaultdict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if int(row["score"]) >= 1:
                found[row["query-id"]].add(row["corpus-id"])
    return found


def _groups(judged: Iterable[set[str]]) -> dict[str, str]:
    """Card -> name of its group: cards that are right for the same complaint belong together."""
    parent: dict[str, str] = {}

    def find(card: str) -> str:
        while parent.setdefault(card, card) != card:
            card = parent[card]
        return card

    for cards in judged:
        first = find(min(cards))
        for card in cards:
            parent[find(card)] = first
    return {card: find(card) for card in list(parent)}


def _case(query: dict[str, Any]) -> Case:
    return Case(query["text"], vehicle=Vehicle(query["make"], query["model"], _year(query["year"])))


def _card(row: dict[str, Any]) -> CardRecord:
    """The card as the recall importer makes it and the live index reads it."""
    content = completed(content_of(row))
    stored = content.model_dump()
    signature_hash = content.failure_signature.signature_hash if content.failure_signature else ""
    return card_record({**STORED, **stored, "_id": row["_id"], "signature_hash": signature_hash})


STORED = {
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


def _year(text: str) -> int | None:
    return int(text) if text.isdigit() and 1900 < int(text) < 2100 else None
