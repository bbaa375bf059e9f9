"""A store with a graph of any size, of the shape that cards give: few edges at each card, very many at popular
symptoms, parts, vehicles and subsystems."""

import random
import sys
import time
from collections.abc import Iterator
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from models.enums import CreationMethod, NodeType, RelationType
from models.knowledge_relation import KnowledgeRelation, RelationContent
from services.knowledge import relations
from services.knowledge.edge_weights import APPROVED_WEIGHT, Strength, sample_of
from services.knowledge.learning import Decayed
from services.knowledge.nodes import Node
from services.writing import encode

MARK = "benchmark"
"""Collection that tells what the store has been filled with."""
BATCH = 2000
TOLD_EVERY = 50_000
SEED = 11
SYMPTOMS, PARTS, VEHICLES, SUBSYSTEMS = 600, 20_000, 400, 29


async def filled(database: AsyncDatabase[dict[str, Any]], edges: int) -> dict[str, Any]:
    """See to it that the store holds a graph of so many edges; tells its `cards` and the `seconds` that filling took.

    A store that was filled before is left alone; one that holds anything else is refused with a ValueError.
    """
    wanted = {"_id": "graph", "edges": edges}
    if (found := await database[MARK].find_one(wanted)) is not None:
        return found
    if await KnowledgeRelation.find_one({}) is not None:
        raise ValueError(f"the folder holds another graph than one of {edges:,} edges: name an empty one")
    started = time.perf_counter()
    cards = await _fill(edges)
    mark = {**wanted, "cards": cards, "seconds": time.perf_counter() - started}
    await database[MARK].insert_one(mark)
    return mark


async def _fill(edges: int) -> int:
    rng = random.Random(SEED)
    collection = KnowledgeRelation.get_pymongo_collection()
    template = relations.new_edge(
        _content(card(0), RelationType.affects, hub(NodeType.subsystem, 0)), CreationMethod.inferred, stated=True
    )
    stored = encode(template)
    written = cards = told = 0
    batch: list[dict[str, Any]] = []
    while written < edges:
        for content in _edges_of(cards, rng):
            batch.append(stored | _fields(template, content, written, rng))
            written += 1
        cards += 1
        if len(batch) >= BATCH or written >= edges:
            await collection.insert_many(batch, ordered=False)
            batch = []
        if written >= min(edges, told + TOLD_EVERY):
            told = written
            print(f"{written:,} edges are written", file=sys.stderr, flush=True)
    return cards


def _fields(template: KnowledgeRelation, content: RelationContent, number: int, rng: random.Random) -> dict[str, Any]:
    """What one edge has of its own, as the service stores it; a third of them has been shown by repairs."""
    support = rng.choice((1.0, 2.0, 5.0)) if rng.random() < 0.33 else 0.0
    edge = template.model_copy(update={"id": f"rel_{number:020d}", **content.__dict__})
    strength = Strength(APPROVED_WEIGHT, 0.5, Decayed(template.as_of, support))
    return {
        **content.__dict__,
        **relations.reckoned(edge, strength),
        "_id": edge.id,
        "sample": sample_of(edge.id),
        "evidence_count": int(support),
    }


def _edges_of(number: int, rng: random.Random) -> Iterator[RelationContent]:
    itself = card(number)
    yield _content(itself, RelationType.affects, hub(NodeType.subsystem, zipf(rng, SUBSYSTEMS)))
    for symptom in {zipf(rng, SYMPTOMS) for _ in range(4)}:
        yield _content(hub(NodeType.symptom, symptom), RelationType.indicates, itself)
    for part in {zipf(rng, PARTS) for _ in range(3)}:
        yield _content(itself, RelationType.requires, hub(NodeType.part, part))
    for vehicle in {zipf(rng, VEHICLES) for _ in range(2)}:
        yield _content(hub(NodeType.vehicle, vehicle), RelationType.has_failure, itself)
    if number and rng.random() < 0.3:
        yield _content(card(rng.randrange(number)), RelationType.similar_to, itself)


def zipf(rng: random.Random, count: int) -> int:
    """0 is the most popular: density falls as 1 / rank."""
    return min(count - 1, int(count ** rng.random()) - 1)


def card(number: int) -> Node:
    return Node(NodeType.failure_card, f"fc_{number:020d}")


def hub(kind: NodeType, number: int) -> Node:
    return Node(kind, f"{kind} {number}")


def _content(source: Node, relation: RelationType, target: Node) -> RelationContent:
    return RelationContent.model_construct(  # a million of them: nothing to check
        source_type=source.type,
        source_id=source.id,
        source_label=f"Label of {source.id} in a few words",
        relation_type=relation,
        target_type=target.type,
        target_id=target.id,
        target_label=f"Label of {target.id} in a few words",
    )
