"""Edges of the knowledge graph: drawn by hand, read, and made and weighted by what is stated and what repairs show.

Which edges a card states and which a repair confirms is decided in `graph_edges`; here edges are written. All functions
that write belong in the caller's transaction.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from app import clock
from app.errors import Duplicate, Invalid, NotFound
from app.security import current_actor
from models.enums import CreationMethod, NodeType, RelationType
from models.knowledge_relation import KnowledgeRelation, RelationContent
from services.knowledge import nodes
from services.knowledge.edge_weights import (
    HAND_MADE_LIMIT,
    NEGLIGIBLE,
    UNSTATED_CONFIDENCE,
    UNSTATED_WEIGHT,
    Strength,
    rank_of,
    refresh_after,
    sample_of,
)
from services.knowledge.evidence_rows import half_life
from services.knowledge.learning import Decayed
from services.knowledge.nodes import Node
from services.paging import Page, by_index, page

REFRESH_BATCH = 500

Weigher = Callable[[Mapping[str, Any]], tuple[float, float]]
"""From an edge in its stored form to its weight and confidence."""


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
    """Draw an edge by hand. It is marked as such and starts weak (HAND_MADE_LIMIT). Ends may be named as people write
    them (`nodes.meant`).

    Raises Invalid if an end does not exist or both are one, Duplicate if the edge exists.
    """
    source = await nodes.meant(content.source_type, content.source_id)
    target = await nodes.meant(content.target_type, content.target_id)
    content = content.model_copy(update={"source_id": source.id, "target_id": target.id})
    if source == target:
        raise Invalid.field("target_id", "must be another node than the source", content.target_id)
    await nodes.require("source_id", source)
    await nodes.require("target_id", target)
    weak = {name: min(getattr(content, name), HAND_MADE_LIMIT) for name in ("weight", "confidence")}
    relation = new_edge(content.model_copy(update=weak), CreationMethod.manual, stated=True)
    taken = Duplicate("This edge exists already.")
    if await KnowledgeRelation.find_one(key_of(content)._asdict()) is not None:
        raise taken
    try:
        await relation.insert()
    except DuplicateKeyError:
        raise taken from None
    return relation


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
    """Newest first, those that have ended too."""
    wanted = {"source_id": source_id, "target_id": target_id, "relation_type": relation_type}
    query: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    first, rest = by_index(query, ("source_id", "target_id", "relation_type"))
    return await page(KnowledgeRelation, first, also=rest, limit=limit, after=after)


async def edges_at(node_id: str) -> list[KnowledgeRelation]:
    """Every edge from or to a node, those that have ended too. For nodes with few edges, which cards are."""
    leaving = await KnowledgeRelation.find({"source_id": node_id}).to_list()
    arriving = await KnowledgeRelation.find({"target_id": node_id}).to_list()
    return list({edge.id: edge for edge in (*leaving, *arriving)}.values())


async def find(keys: Iterable[EdgeKey]) -> dict[EdgeKey, KnowledgeRelation]:
    """Those of these edges that are stored."""
    found = {}
    for key in dict.fromkeys(keys):
        if (edge := await KnowledgeRelation.find_one(key._asdict())) is not None:
            found[key] = edge
    return found


def new_edge(content: RelationContent, method: CreationMethod, *, stated: bool) -> KnowledgeRelation:
    """An edge that is not stored yet; `weight` and `confidence` of the content become its base.

    Of one that nobody states, repairs alone carry the weight, whatever the content says.
    """
    now = clock.now()
    base = (content.weight, content.confidence) if stated else (UNSTATED_WEIGHT, UNSTATED_CONFIDENCE)
    edge = KnowledgeRelation(
        **content.model_dump(exclude={"weight", "confidence"}),
        base_weight=base[0],
        base_confidence=base[1],
        as_of=now,
        last_observed=now,
        created_by=current_actor().id,
        creation_method=method,
        stated=stated,
    )
    return edge.model_copy(update={"sample": sample_of(edge.id), **reckoned(edge, strength_of(edge))})


def strength_of(edge: KnowledgeRelation) -> Strength:
    """What decides the edge's weight, as of its `as_of`."""
    return Strength(edge.base_weight, edge.base_confidence, Decayed(edge.as_of, edge.support, edge.doubt))


def weigher(now: datetime) -> Weigher:
    """Reckons weight and confidence of edges in their stored form as of `now`."""
    lasting = half_life()

    def weigh(stored: Mapping[str, Any]) -> tuple[float, float]:
        if not stored["support"] and not stored["doubt"]:
            # Most edges rest on their statement alone, which does not age.
            return stored["base_weight"], stored["base_confidence"]
        aged = Decayed(stored["as_of"], stored["support"], stored["doubt"]).at(now, lasting)
        strength = Strength(stored["base_weight"], stored["base_confidence"], aged)
        return strength.weight, strength.confidence

    return weigh


def reckoned(edge: KnowledgeRelation, strength: Strength, ended_at: datetime | None = None) -> dict[str, Any]:
    """The fields that follow from an edge's strength."""
    sums = strength.sums
    source, target = Node(edge.source_type, edge.source_id), Node(edge.target_type, edge.target_id)
    return {
        "base_weight": strength.base_weight,
        "base_confidence": strength.base_confidence,
        "support": sums.successes,
        "doubt": sums.failures,
        "as_of": sums.as_of,
        "weight": 0.0 if ended_at else strength.weight,
        "confidence": strength.confidence,
        "rank": rank_of(edge.id, strength.weight),
        "refresh_at": None if ended_at else refresh_after(sums, half_life()),
        "ended_at": ended_at,
        "ends": [] if ended_at else [source.key, target.key],
    }


class Change(NamedTuple):
    """What becomes of one stored edge."""

    edge: KnowledgeRelation
    fields: Mapping[str, Any]
    counts: Mapping[str, int] = {}


def restated(edge: KnowledgeRelation, wanted: RelationContent) -> Change | None:
    """The edge as its card states it now; None if nothing changes."""
    base = (wanted.weight, wanted.confidence)
    said = {
        "source_label": wanted.source_label,
        "target_label": wanted.target_label,
        "bidirectional": wanted.bidirectional,
        "creation_method": CreationMethod.inferred,  # whoever drew it first: a card says so now
        "stated": True,
    }
    same = edge.ended_at is None and (edge.base_weight, edge.base_confidence) == base
    if same and all(getattr(edge, name) == value for name, value in said.items()):
        return None
    now = clock.now()
    strength = Strength(*base, strength_of(edge).sums).at(now, half_life())
    return Change(edge, said | {"last_observed": now} | reckoned(edge, strength))


def unstated(edge: KnowledgeRelation) -> Change:
    """The edge when nothing states it any more: what repairs have shown remains and fades, without it the edge ends."""
    now = clock.now()
    strength = Strength(UNSTATED_WEIGHT, UNSTATED_CONFIDENCE, strength_of(edge).sums).at(now, half_life())
    ended = now if strength.sums.successes < NEGLIGIBLE else None
    return Change(edge, {"stated": False} | reckoned(edge, strength, ended))


def ended(edge: KnowledgeRelation) -> Change:
    """The edge when one of its nodes is out of use. It keeps what it has learnt."""
    return Change(edge, {"stated": False} | reckoned(edge, strength_of(edge), clock.now()))


def observed(edge: KnowledgeRelation, occurred_at: datetime, *, support: int = 0, doubt: int = 0) -> Change:
    """The edge after what repairs at `occurred_at` said of it; negative numbers take back."""
    strength = strength_of(edge)
    sums = strength.sums.plus(occurred_at, half_life(), successes=support, failures=doubt)
    strength = Strength(strength.base_weight, strength.base_confidence, sums)
    fields = reckoned(edge, strength, edge.ended_at)
    if support > 0:
        fields["last_observed"] = max(occurred_at, edge.last_observed or occurred_at)
    return Change(edge, fields, {"evidence_count": support, "counter_count": doubt})


def absorbed(edge: KnowledgeRelation, other: KnowledgeRelation) -> Change:
    """The edge with what another one has learnt counted on top."""
    own, more = strength_of(edge), strength_of(other)
    strength = replace(own, sums=own.sums.together(more.sums, half_life()))
    seen = [edge.last_observed, other.last_observed]
    over = edge.ended_at if strength.sums.successes < NEGLIGIBLE else None
    fields = reckoned(edge, strength, over) | {"last_observed": max(filter(None, seen), default=None)}
    return Change(edge, fields, {name: getattr(other, name) for name in ("evidence_count", "counter_count")})


def applied(change: Change) -> KnowledgeRelation:
    """The edge as it is after the change, for one that is not stored yet."""
    counts = {name: getattr(change.edge, name) + more for name, more in change.counts.items()}
    return change.edge.model_copy(update={**change.fields, **counts})


async def write(changes: Iterable[Change | None], fresh: Iterable[KnowledgeRelation] = ()) -> int:
    """Store changes and new edges; returns their number."""
    now = clock.now()
    updates = [
        UpdateOne(
            {"_id": change.edge.id},
            {"$set": {**change.fields, "updated_at": now}, "$inc": {**change.counts, "revision": 1}},
        )
        for change in changes
        if change is not None
    ]
    if updates:
        await KnowledgeRelation.get_pymongo_collection().bulk_write(updates)
    added = list(fresh)
    if added:
        await KnowledgeRelation.insert_many(added)
    return len(updates) + len(added)


async def refresh_faded(limit: int = 20 * REFRESH_BATCH) -> int:
    """Reckon anew the weights that time has changed, and end what nobody states and nothing shows any more.

    Returns the number of edges. Repeatable; a timer calls it.
    """
    done = 0
    while done < limit:
        batch = await KnowledgeRelation.find({"refresh_at": {"$lte": clock.now()}}).limit(REFRESH_BATCH).to_list()
        await write(_refreshed(edge) for edge in batch)
        done += len(batch)
        if len(batch) < REFRESH_BATCH:
            break
    return done


def _refreshed(edge: KnowledgeRelation) -> Change:
    strength = strength_of(edge).at(clock.now(), half_life())
    over = not edge.stated and strength.sums.successes < NEGLIGIBLE
    return Change(edge, reckoned(edge, strength, clock.now() if over else None))
