"""How well near duplicates are told from other cards, and how long looking for them takes.

Copies of the starter cards, written again in other words or boiled down to what a technician writes, must find their
original and nothing else among all starter cards. With a folder of relevance judgements, its campaigns are compared
with each other: those judged siblings (same component and vehicle, another campaign) beside pairs taken at random.
"""

import argparse
import csv
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import corpus, gold
from benchmarks.gold import STORED
from benchmarks.report import Figures, Report, milliseconds
from matching import CardIndex, CardRecord, Embedder, HashingEmbedder
from matching.likeness import alike
from matching.minilm import MiniLMEmbedder
from models.enums import FailureMode
from models.failure_card import CardContent, VehicleCompatibility
from seeds.starter import load_starter
from services.diagnosis.duplicates import THRESHOLD
from services.diagnosis.translate import card_record
from services.knowledge.content import completed

SEED = 20_26
LIMIT_MS = 50.0
"""What looking for near duplicates may take at the 99th percentile."""
QUERIES = 200
SYNONYMS = {
    "battery": "pack", "fails": "gives up", "failure": "fault", "faulty": "defective", "fault": "failure",
    "broken": "snapped", "loose": "not tight", "water": "moisture", "charger": "charging unit", "stops": "ends",
    "connector": "plug", "plug": "connector", "wire": "cable", "cable": "lead", "board": "PCB", "scooter": "bike",
    "vehicle": "machine", "rider": "driver", "hot": "warm", "noise": "sound", "sensor": "pickup", "reads": "shows",
    "shows": "displays", "replace": "swap", "resistance": "ohms", "high": "raised", "low": "reduced",
    "damaged": "harmed", "worn": "used up", "corroded": "oxidised", "corrosion": "rust", "after": "following",
    "suddenly": "all at once", "sometimes": "now and then", "motor": "drive unit", "controller": "control unit",
    "brake": "braking", "display": "screen", "dashboard": "instrument cluster", "starts": "begins", "range": "distance",
    "speed": "pace", "temperature": "heat", "open": "interrupted", "shorted": "bridged", "contactor": "relay",
    "relay": "contactor",
}  # fmt: skip
"""Other words for the commonest ones, whatever the matching engine knows of them."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, default=10_000, help="cards among which the time is taken")
    parser.add_argument("--gold", type=Path, help="a folder of relevance judgements")
    parser.add_argument("--weights", type=Path, help="a folder for the built sentence model, to compare meaning by it")


def run(options: argparse.Namespace) -> Report:
    embedder: Embedder = MiniLMEmbedder.load(options.weights) if options.weights else HashingEmbedder()
    rows = _copies(embedder)
    if options.gold is not None:
        rows |= _campaigns(embedder, options.gold)
    timed = _timed(embedder, options.cards)
    rows[f"time among {options.cards:,} cards"] = timed
    notes = [f"Meaning by {embedder.name}. A near duplicate: similarity from {THRESHOLD}."]
    return Report("Near duplicates", rows, notes, passed=(timed["p99 ms"] or 0) < LIMIT_MS)


def _record(key: str, content: CardContent) -> CardRecord:
    return card_record({**STORED, **completed(content).model_dump(), "_id": key, "signature_hash": ""})


def _copies(embedder: Embedder) -> dict[str, Figures]:
    known = dict(load_starter().cards)
    index = CardIndex(embedder)
    index.upsert_many(_record(key, content) for key, content in known.items())
    chance = random.Random(SEED)
    vehicles = [vehicle for content in known.values() for vehicle in content.vehicle_models]
    rows: dict[str, Figures] = {}
    for label, copy in _WAYS.items():
        found = {key: _near(index, _record("copy", copy(known[key], chance, vehicles))) for key in known}
        right = sum(key in flagged for key, flagged in found.items())
        flagged = sum(map(len, found.values()))
        rows[label] = {"n": len(found), "recall": right / len(found), "precision": right / max(1, flagged)}
    pairs = sum(len(_near(index, card)) for card in index) // 2
    rows["starter cards, each other"] = {"n": len(known) * (len(known) - 1) // 2, "flagged": pairs}
    return rows


def _near(index: CardIndex, card: CardRecord) -> set[str]:
    return {other.card.card_id for other in alike(index, card, limit=50, least=THRESHOLD)}


def _said_again(text: str, chance: random.Random, dropped: float) -> str:
    """The text with other words for common ones, and a share of the rest left out; whole if one word would be left."""
    kept = []
    for word in text.split():
        plain = word.strip(".,;:()").lower()
        if plain in SYNONYMS and chance.random() < 0.8:
            kept.append(SYNONYMS[plain])
        elif chance.random() >= dropped:
            kept.append(word)
    return " ".join(kept) if len(kept) > 1 else text


Copy = Callable[[CardContent, random.Random, list[VehicleCompatibility]], CardContent]


def _other_vehicle(content: CardContent, chance: random.Random, vehicles: list[VehicleCompatibility]) -> CardContent:
    title = _said_again(content.title, chance, 0.1)
    return content.model_copy(update={"title": title, "vehicle_models": chance.sample(vehicles, 2), "keywords": []})


def _reworded(dropped: float) -> Copy:
    """The texts said again, for other vehicles; without codes, symptom ids, parts and steps."""

    def copy(content: CardContent, chance: random.Random, vehicles: list[VehicleCompatibility]) -> CardContent:
        texts = ("title", "description", "symptom_text", "root_cause")
        return CardContent(
            **{name: _said_again(getattr(content, name), chance, dropped) for name in texts},
            subsystem_category=content.subsystem_category,
            failure_mode=content.failure_mode,
            vehicle_models=chance.sample(vehicles, 2),
        )

    return copy


def _brief(dropped: float) -> Copy:
    """Title, one sentence of the complaint and the cause, said again, with a failure mode picked at random."""

    def copy(content: CardContent, chance: random.Random, vehicles: list[VehicleCompatibility]) -> CardContent:
        complaint = chance.choice(re.split(r"(?<=[.!?])\s+", content.symptom_text))
        return CardContent(
            title=_said_again(content.title, chance, dropped),
            symptom_text=_said_again(complaint, chance, dropped),
            root_cause=_said_again(content.root_cause, chance, dropped),
            subsystem_category=content.subsystem_category,
            failure_mode=chance.choice(list(FailureMode)),
            vehicle_models=chance.sample(vehicles, 1),
        )

    return copy


_WAYS: dict[str, Copy] = {
    "copied for other vehicles": _other_vehicle,
    "reworded, 15 % of the words left out": _reworded(0.15),
    "reworded, half of the words left out": _reworded(0.5),
    "two lines, 15 % of the words left out": _brief(0.15),
    "two lines, 30 % of the words left out": _brief(0.3),
    "two lines, half of the words left out": _brief(0.5),
}


def _campaigns(embedder: Embedder, folder: Path) -> dict[str, Figures]:
    cards = {card.card_id: card for card in gold.load(folder).cards}
    index = CardIndex(embedder)
    index.upsert_many(cards.values())
    found = {card_id: _near(index, card) for card_id, card in cards.items()}
    siblings = {pair for pair in _sibling_pairs(folder) if pair <= cards.keys()}
    chance, ids = random.Random(SEED), sorted(cards)
    apart = [chance.sample(ids, 2) for _ in range(100_000)]
    return {
        "sibling campaigns": {"n": len(siblings), "flagged": sum(max(p) in found[min(p)] for p in siblings)},
        "campaigns at random": {"n": len(apart), "flagged": sum(other in found[one] for one, other in apart)},
        "campaigns, each other": {
            "n": len(ids) * (len(ids) - 1) // 2,
            "flagged": len({frozenset((one, other)) for one, near in found.items() for other in near}),
        },
    }


def _sibling_pairs(folder: Path) -> Iterator[frozenset[str]]:
    """Campaigns that are right and sibling for the same complaint."""
    judged: dict[str, dict[str, set[str]]] = {}
    for name in ("qrels", "qrels_siblings"):
        judged[name] = defaultdict(set)
        with (folder / f"{name}.tsv").open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                judged[name][row["query-id"]].add(row["corpus-id"])
    for query, siblings in judged["qrels_siblings"].items():
        yield from {frozenset((one, other)) for one in judged["qrels"][query] for other in siblings if one != other}


def _timed(embedder: Embedder, count: int) -> Figures:
    known = corpus.sentences(None)
    index = CardIndex(embedder)
    index.upsert_many(corpus.cards(count, known))
    chance = random.Random(SEED)
    starter = [_record(key, content) for key, content in load_starter().cards]
    seconds = []
    for _ in range(QUERIES):
        card = chance.choice(starter)
        started = time.perf_counter()
        alike(index, card, limit=5, least=THRESHOLD)
        seconds.append(time.perf_counter() - started)
    return milliseconds(seconds)
