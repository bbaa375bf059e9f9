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

from matching import CardRecord, Case, Vehicle, VehicleRange
from matching.training import Decision


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
    component = row["component"]
    return CardRecord(
        row["_id"],
        title=f"{component} {row['manufacturer']}".strip(),
        symptom_text=row["text"],
        root_cause=row["text"],
        resolution=row["remedy"],
        components=(component,) if component else (),
        vehicles=_ranges(row["vehicles"]),
    )


def _ranges(vehicles: Iterable[dict[str, str]]) -> tuple[VehicleRange, ...]:
    """Consecutive model years of a model become one range; a year that is not known leaves the range open."""
    years: defaultdict[tuple[str, str], set[int | None]] = defaultdict(set)
    for vehicle in vehicles:
        years[vehicle["make"], vehicle["model"]].add(_year(vehicle["year"]))
    ranges = []
    for (make, model), known in years.items():
        if None in known:
            ranges.append(VehicleRange(make, model))
            continue
        ordered = sorted(year for year in known if year is not None)
        breaks = [i for i in range(1, len(ordered)) if ordered[i] != ordered[i - 1] + 1]
        for start, end in zip([0, *breaks], [*breaks, len(ordered)], strict=True):
            ranges.append(VehicleRange(make, model, ordered[start], ordered[end - 1]))
    return tuple(ranges)


def _year(text: str) -> int | None:
    return int(text) if text.isdigit() and 1900 < int(text) < 2100 else None
