"""The knowledge graph: edges between symptoms, cards, parts, vehicles and subsystems.

Nodes are named by symptom code, card id, part key, vehicle key and subsystem. An edge that is observed again gains
evidence, and its weight moves towards 1.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from app import clock
from app.errors import Duplicate, Invalid, NotFound
from app.security import current_actor
from models.enums import CreationMethod, NodeType, RelationType, SubsystemCategory
from models.failure_card import FailureCard, RequiredPart
from models.knowledge_relation import KnowledgeRelation, RelationContent
from services.knowledge import symptoms
from services.paging import Page, by_index, page

LEARNING_RATE = 0.1
"""How far one observation moves an edge's weight towards 1."""


class EdgeKey(NamedTuple):
    """What makes an edge the same edge."""

    source_type: NodeType
    source_id: str
    relation_type: RelationType
    target_type: NodeType
    target_id: str


def key_of(edge: RelationContent) -> EdgeKey:
    return EdgeKey(edge.source_type, edge.source_id, edge.relation_type, edge.target_type, edge.target_id)


async def create(content: RelationContent) -> KnowledgeRelation:
    """Add an edge by hand. Raises Invalid if an end does not exist or both are one, Duplicate if the edge exists."""
    if (content.source_type, content.source_id) == (content.target_type, content.target_id):
        raise Invalid.field("target_id", "must be another node than the source", content.target_id)
    await _require_node("source_id", content.source_type, content.source_id)
    await _require_node("target_id", content.target_type, content.target_id)
    relation = _relation(content, CreationMethod.manual, evidence=1)
    taken = Duplicate("This edge exists already.")
    if await KnowledgeRelation.find_one(key_of(content)._asdict()) is not None:
        raise taken
    try:
        await relation.insert()
    except DuplicateKeyError:
        raise taken from None
    return relation


async def _require_node(field: str, kind: NodeType, identifier: str) -> None:
    """Cards, symptoms and subsystems must exist; parts and vehicles may be named before anybody has registered them."""
    match kind:
        case NodeType.failure_card:
            known = await FailureCard.find_one({"_id": identifier}) is not None
        case NodeType.symptom:
            known = bool(await symptoms.known({identifier}))
        case NodeType.subsystem:
            known = identifier in set(SubsystemCategory)
        case _:
            known = True
    if not known:
        raise Invalid.field(field, f"names no {kind.replace('_', ' ')}", identifier)


async def get(relation_id: str) -> KnowledgeRelation:
    """Raises NotFound."""
    relation = await KnowledgeRelation.find_one({"_id": relation_id})
    if relation is None:
        raise NotFound.of("relation", relation_id)
    return relation


async def list_relations(
    *,
    source_id: str | None = None,
    target_id: str | None = None,
    relation_type: RelationType | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[KnowledgeRelation]:
    """Newest first."""
    wanted = {"source_id": source_id, "target_id": target_id, "relation_type": relation_type}
    query: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    first, rest = by_index(query, ("source_id", "target_id", "relation_type"))
    return await page(KnowledgeRelation, first, also=rest, limit=limit, after=after)


async def link_card(card: FailureCard, method: CreationMethod, evidence: int = 1) -> int:
    """See to it that the card's edges exist, and count `evidence` observations of each; returns their number.

    symptom —indicates→ card, card —requires→ part, card —affects→ subsystem, vehicle —has_failure→ card. New edges
    start with at least one observation; with `evidence` 0 those that exist stay as they are. Two reads and at most two
    writes, however many edges there are. Belongs in the caller's transaction.
    """
    edges = {key_of(edge): edge for edge in _edges_of(card)}
    existing = {key_of(edge): edge for edge in await _edges_at(card.id)}
    if evidence:
        await _observe([existing[key] for key in edges if key in existing], card.confidence_score, evidence)
    fresh = [_relation(edge, method, max(1, evidence)) for key, edge in edges.items() if key not in existing]
    if fresh:
        await KnowledgeRelation.insert_many(fresh)
    return len(edges)


async def move(former_id: str, card: FailureCard) -> int:
    """Let the edges of a card that was merged into `card` begin and end there; returns their number.

    An edge that both cards had becomes one: the stronger one, with the other's observations counted on top, of which
    the first only says that the edge exists. Edges between both cards go. Belongs in the transaction of the merge.
    """
    moving = await _edges_at(former_id)
    if not moving:
        return 0
    own = {key_of(edge): edge for edge in await _edges_at(card.id)}
    fresh: dict[EdgeKey, KnowledgeRelation] = {}
    doubled: list[KnowledgeRelation] = []
    for edge in moving:
        moved = _at(edge, former_id, card)
        key = key_of(moved)
        if moved.source_id == moved.target_id:
            continue
        if key in own:
            doubled.append(_together(own[key], moved))
        else:
            fresh[key] = _together(fresh[key], moved) if key in fresh else moved
    collection = KnowledgeRelation.get_pymongo_collection()
    # Deleted and stored anew: the embedded store never frees a unique key that an update leaves.
    await collection.delete_many({"_id": {"$in": [edge.id for edge in moving]}})
    if fresh:
        await KnowledgeRelation.insert_many(list(fresh.values()))
    if doubled:
        fields = ("weight", "confidence", "evidence_count", "last_observed", "updated_at")
        writes = [
            UpdateOne(
                {"_id": edge.id}, {"$set": {name: getattr(edge, name) for name in fields}, "$inc": {"revision": 1}}
            )
            for edge in doubled
        ]
        await collection.bulk_write(writes)
    return len(moving)


async def _edges_at(node_id: str) -> list[KnowledgeRelation]:
    leaving = await KnowledgeRelation.find({"source_id": node_id}).to_list()
    arriving = await KnowledgeRelation.find({"target_id": node_id}).to_list()
    return list({edge.id: edge for edge in [*leaving, *arriving]}.values())


def _at(edge: KnowledgeRelation, former_id: str, card: FailureCard) -> KnowledgeRelation:
    """The edge with `card` in the place of the former one."""
    changes: dict[str, Any] = {"updated_at": clock.now(), "revision": edge.revision + 1}
    for end in ("source", "target"):
        if getattr(edge, f"{end}_id") == former_id:
            changes |= {f"{end}_id": card.id, f"{end}_label": card.title}
    return edge.model_copy(update=changes)


def _together(one: KnowledgeRelation, other: KnowledgeRelation) -> KnowledgeRelation:
    strong, weak = (one, other) if one.weight >= other.weight else (other, one)
    again = max(0, weak.evidence_count - 1)
    return one.model_copy(
        update={
            "weight": 1 - (1 - strong.weight) * (1 - LEARNING_RATE) ** again,
            "confidence": max(one.confidence, other.confidence),
            "evidence_count": strong.evidence_count + again,
            "last_observed": max(filter(None, (one.last_observed, other.last_observed)), default=None),
            "updated_at": clock.now(),
        }
    )


async def observe(edges: Iterable[RelationContent], method: CreationMethod) -> None:
    """Count one more observation of each edge, and make those that are new. Belongs in the caller's transaction."""
    seen, fresh = [], []
    for key, edge in {key_of(edge): edge for edge in edges}.items():
        found = await KnowledgeRelation.find_one(key._asdict())
        if found is None:
            fresh.append(_relation(edge, method, 1))
        else:
            seen.append(found)
    await _observe(seen, None, 1)
    if fresh:
        await KnowledgeRelation.insert_many(fresh)


async def _observe(edges: list[KnowledgeRelation], confidence: float | None, evidence: int) -> None:
    if not edges:
        return
    now = clock.now()
    sure = {} if confidence is None else {"confidence": confidence}
    await KnowledgeRelation.get_pymongo_collection().bulk_write(
        [
            UpdateOne(
                {"_id": edge.id},
                {
                    "$set": {
                        "weight": 1 - (1 - edge.weight) * (1 - LEARNING_RATE) ** evidence,
                        "last_observed": now,
                        "updated_at": now,
                        **sure,
                    },
                    "$inc": {"evidence_count": evidence, "revision": 1},
                },
            )
            for edge in edges
        ]
    )


def _relation(edge: RelationContent, method: CreationMethod, evidence: int) -> KnowledgeRelation:
    return KnowledgeRelation(
        **edge.model_dump(),
        evidence_count=evidence,
        last_observed=clock.now(),
        created_by=current_actor().id,
        creation_method=method,
    )


def part_key(part: RequiredPart) -> str:
    """The node of a part: its number, else its name in lower case."""
    return (part.part_number or " ".join(part.part_name.casefold().split()))[:200]


def vehicle_key(make: str, model: str) -> str:
    """The node of a vehicle model: `make|model` in lower case."""
    return "|".join(" ".join(text.casefold().replace("|", " ").split()) for text in (make, model))[:200]


def _edges_of(card: FailureCard) -> Iterable[RelationContent]:
    title, confidence = card.title, card.confidence_score
    itself = (NodeType.failure_card, card.id, title)
    labels = {symptom.symptom_code: symptom.description for symptom in card.symptoms}
    for code in card.symptom_codes:
        yield _edge((NodeType.symptom, code, labels.get(code, code)), RelationType.indicates, itself, confidence)
    for part in card.required_parts:
        yield _edge(itself, RelationType.requires, (NodeType.part, part_key(part), part.part_name), confidence)
    subsystem = card.subsystem_category
    yield _edge(itself, RelationType.affects, (NodeType.subsystem, subsystem, subsystem.replace("_", " ")), confidence)
    for vehicle in card.vehicle_models:
        label = f"{vehicle.make} {vehicle.model}".strip()[:200]
        node = (NodeType.vehicle, vehicle_key(vehicle.make, vehicle.model), label)
        yield _edge(node, RelationType.has_failure, itself, confidence)


def _edge(
    source: tuple[NodeType, str, str], relation: RelationType, target: tuple[NodeType, str, str], confidence: float
) -> RelationContent:
    return RelationContent(
        source_type=source[0],
        source_id=source[1],
        source_label=source[2],
        relation_type=relation,
        target_type=target[0],
        target_id=target[1],
        target_label=target[2],
        confidence=confidence,
    )
