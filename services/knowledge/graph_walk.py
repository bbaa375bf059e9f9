"""Walks the knowledge graph in the store within a budget, whatever its size: nothing is loaded but what is asked for.

A card has tens of edges, a popular symptom, part, vehicle or subsystem thousands. So cards are read many at once, and
of every other node the strongest edges: a sample (a range of `slot`) tells how the ranks are distributed, and one range
of `rank` then reads about as many edges as are wanted. What was left out is said: `truncated`.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from app import clock
from models.enums import NodeType, RelationType
from models.knowledge_relation import KnowledgeRelation
from services.knowledge import relations
from services.knowledge.nodes import Node

Direction = Literal["out", "in", "both"]

SAMPLES = (1 / 64, 1 / 8)
"""Shares of a node's edges whose ranks are looked at, the second where the first shows less than TELLING of them."""
TELLING = 8
REMEMBERED = 20_000
"""Nodes of which is kept in memory how their edges are ranked, the ones asked for last."""
REMEMBERED_SECONDS = 600.0
"""For so long. What is remembered makes reading thrifty; old, it makes it less so, never wrong: ranges are read until
there is enough."""
HEAD = 200
"""Of the strongest edges of a node, so many ranks are remembered, once they have been read."""
SPARE = 1.5
"""So many times the edges that are wanted are read: a sample is only a sample."""
AT_ONCE = 50
"""Cards of one query."""
MIN_PER_NODE = 8
READ_LIMIT = 5000
"""Edges that are read of one node at most, however few of them pass the filter."""
WEAKEST = 2.0
"""Beyond every rank."""
HUBS = frozenset({NodeType.subsystem, NodeType.vehicle})
"""These connect everything with everything: they end a walk unless it starts from them."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A living edge. `weight` is as of now, `rank` as stored."""

    id: str
    relation: RelationType
    source: Node
    source_label: str
    target: Node
    target_label: str
    weight: float
    confidence: float
    evidence_count: int
    counter_count: int
    bidirectional: bool
    stated: bool
    creation_method: str
    last_observed: datetime | None
    rank: float

    def other(self, node: Node) -> Node:
        return self.target if node == self.source else self.source

    def label_of(self, node: Node) -> str:
        return self.source_label if node == self.source else self.target_label


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which edges to follow; None means all."""

    relations: frozenset[RelationType] | None = None
    node_types: frozenset[NodeType] | None = None
    direction: Direction = "both"
    min_weight: float = 0.0

    def passes(self, edge: Edge, node: Node) -> bool:
        """Whether to go from `node` along this edge."""
        if edge.weight < self.min_weight or (self.relations is not None and edge.relation not in self.relations):
            return False
        if self.node_types is not None and edge.other(node).type not in self.node_types:
            return False
        leaves = edge.source == node
        return edge.bidirectional or self.direction == "both" or leaves == (self.direction == "out")


ANY = Wanted()


@dataclass(slots=True)
class Subgraph:
    """Part of the graph: nodes with their labels, and edges between them. `truncated` says that there is more."""

    nodes: dict[Node, str] = field(default_factory=dict)
    edges: dict[str, Edge] = field(default_factory=dict)
    truncated: bool = False

    def add(self, edge: Edge) -> None:
        self.edges[edge.id] = edge
        self.nodes.setdefault(edge.source, edge.source_label)
        self.nodes.setdefault(edge.target, edge.target_label)


@dataclass(frozen=True, slots=True)
class Found:
    """The strongest edges at a node, strongest first. `degree` is about how many it has in all."""

    edges: list[Edge]
    more: bool
    degree: int


async def strongest(node: Node, limit: int, *, wanted: Wanted = ANY, after: float = -1.0) -> Found:
    """Up to `limit` edges of a node beyond the rank `after`."""
    if node.type is NodeType.failure_card:
        return _cut(node, await _read({"ends": node.key}), limit, wanted, after)
    known = await _ranking(node)
    ranks, share = known.ranks, known.share
    degree = round(len(ranks) / share)
    if degree <= SPARE * limit:
        return _cut(node, await _read({"ends": node.key}), limit, wanted, after)
    found: list[Edge] = []
    low, wide, read = after, math.ceil(SPARE * limit * share), 0
    while True:
        beyond = [rank for rank in ranks if rank > low]
        high = beyond[wide] if wide < len(beyond) else WEAKEST
        if low < 0 and limit < len(known.head):
            high = known.head[limit]
        batch = await _read({"ends": node.key, "rank": {"$gt": low, "$lte": high}})
        if low < 0 and len(batch) > len(known.head):
            known.head = sorted(edge.rank for edge in batch)[:HEAD]
        read += len(batch)
        found += [edge for edge in batch if wanted.passes(edge, node)]
        if len(found) > limit or high == WEAKEST or read >= READ_LIMIT:
            break
        low, wide = high, 2 * wide
    found.sort(key=lambda edge: edge.rank)
    return Found(found[:limit], len(found) > limit or high < WEAKEST, max(degree, len(found)))


@dataclass(slots=True)
class _Ranking:
    """How a node's edges are ranked: the `ranks` of some in their order, about `share` of all, and those of the
    strongest (`head`) without a gap."""

    ranks: list[float]
    share: float
    until: float
    head: list[float] = field(default_factory=list)


_rankings: dict[tuple[str, str], _Ranking] = {}
"""By collection and node, the ones asked for last at the end."""


async def _ranking(node: Node) -> _Ranking:
    collection = KnowledgeRelation.get_pymongo_collection()
    place = collection.full_name, node.key
    known = _rankings.pop(place, None)
    if known is None or known.until < time.monotonic():
        ranks: list[float] = []
        for share in SAMPLES:
            found = await collection.find({"ends": node.key, "slot": {"$lt": share}}, {"rank": 1}).to_list()
            ranks = sorted(edge["rank"] for edge in found)
            if len(ranks) >= TELLING:
                break
        known = _Ranking(ranks, share, time.monotonic() + REMEMBERED_SECONDS)
    _rankings[place] = known
    if len(_rankings) > REMEMBERED:
        del _rankings[next(iter(_rankings))]
    return known


def _cut(node: Node, edges: Iterable[Edge], limit: int, wanted: Wanted, after: float) -> Found:
    every = sorted(edges, key=lambda edge: edge.rank)
    passing = [edge for edge in every if edge.rank > after and wanted.passes(edge, node)]
    return Found(passing[:limit], len(passing) > limit, len(every))


async def of_cards(cards: Sequence[Node], *, limit: int) -> tuple[dict[Node, list[Edge]], bool]:
    """Every edge of these cards, by card, and whether cards were left out because `limit` edges had been read."""
    found: dict[Node, list[Edge]] = {card: [] for card in cards}
    read = 0
    for start in range(0, len(cards), AT_ONCE):
        if read >= limit:
            return found, True
        batch = await _read({"ends": {"$in": [card.key for card in cards[start : start + AT_ONCE]]}})
        read += len(batch)
        for edge in batch:
            for end in (edge.source, edge.target):
                if end in found:
                    found[end].append(edge)
    return found, False


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a walk may gather. `per_node` bounds the edges of each node that is no card."""

    nodes: int = 60
    edges: int = 400
    per_node: int = 60


async def expand(
    centres: Sequence[Node], depth: int, *, wanted: Wanted = ANY, budget: Budget | None = None
) -> Subgraph:
    """What lies within `depth` edges of the centres, the strongest ways first until the budget is used up.

    A way is as strong as the product of its weights. HUBS end it, unless they are centres. The centres themselves are
    in the result only if they have edges.
    """
    limits = budget or Budget()
    graph = Subgraph()
    strength = dict.fromkeys(centres, 1.0)
    frontier = list(strength)
    for level in range(depth):
        going = [node for node in frontier if level == 0 or node.type not in HUBS]
        # What will not fit need not be read.
        fitting = max(MIN_PER_NODE, 2 * (limits.nodes - len(strength)) // max(1, len(going)))
        by_node, cut = await _outgoing(going, wanted, limits.edges, min(limits.per_node, fitting))
        graph.truncated |= cut
        frontier = _take(graph, strength, by_node, limits)
    return graph


async def _outgoing(
    frontier: Sequence[Node], wanted: Wanted, edges: int, per_node: int
) -> tuple[dict[Node, list[Edge]], bool]:
    cards = [node for node in frontier if node.type is NodeType.failure_card]
    by_node, cut = await of_cards(cards, limit=edges)
    by_node = {card: [edge for edge in found if wanted.passes(edge, card)] for card, found in by_node.items()}
    for node in frontier:
        if node.type is not NodeType.failure_card:
            there = await strongest(node, per_node, wanted=wanted)
            by_node[node], cut = there.edges, cut or there.more
    return by_node, cut


def _take(
    graph: Subgraph, strength: dict[Node, float], by_node: Mapping[Node, Sequence[Edge]], limits: Budget
) -> list[Node]:
    """Add edges, the strongest ways first, as far as the budget goes; returns the nodes that were reached first."""
    ways = sorted(
        ((strength[node] * edge.weight, edge.id, node, edge) for node, edges in by_node.items() for edge in edges),
        key=lambda way: (-way[0], way[1]),
    )
    fresh: list[Node] = []
    for strong, _, node, edge in ways:
        if edge.id in graph.edges:
            continue
        other = edge.other(node)
        if len(graph.edges) >= limits.edges or (other not in strength and len(strength) >= limits.nodes):
            graph.truncated = True
            continue
        if other not in strength:
            strength[other] = strong
            fresh.append(other)
        graph.add(edge)
    return fresh


async def _read(query: Mapping[str, Any]) -> list[Edge]:
    found = await KnowledgeRelation.get_pymongo_collection().find(query).to_list()
    now = clock.now()
    weigh = relations.weigher(now)
    return [_edge(document, weigh) for document in found]


def _edge(document: Mapping[str, Any], weigh: relations.Weigher) -> Edge:
    weight, confidence = weigh(document)
    return Edge(
        document["_id"],
        RelationType(document["relation_type"]),
        Node(NodeType(document["source_type"]), document["source_id"]),
        document["source_label"],
        Node(NodeType(document["target_type"]), document["target_id"]),
        document["target_label"],
        weight,
        confidence,
        document["evidence_count"],
        document["counter_count"],
        document["bidirectional"],
        document["stated"],
        document["creation_method"],
        document["last_observed"],
        document["rank"],
    )
