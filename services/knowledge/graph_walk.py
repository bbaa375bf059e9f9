"""Walks the knowledge graph in the store within a budget, whatever its size: nothing is loaded but what is asked for.

A card has tens of edges, and so have most parts; a popular symptom, part, vehicle or subsystem has thousands. So cards
and other small nodes are read many at once, and of a large node the strongest edges: `graph_ranks` tells a range of
`rank` that holds about as many edges as are wanted. What was left out is said: `truncated`.
"""

import asyncio
import math
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from app import clock
from app.database import in_a_transaction
from models.enums import NodeType, RelationType
from models.knowledge_relation import KnowledgeRelation
from services.knowledge import relations
from services.knowledge.graph_ranks import WEAKEST, Ranking, bound, rankings
from services.knowledge.nodes import Node

Direction = Literal["out", "in", "both"]

SPARE = 1.5
"""So many times the edges that are wanted are read: a sample is only a sample."""
AT_ONCE = 50
"""Nodes of one query."""
MIN_PER_NODE = 8
UNEVEN = 1.5
"""Of each of several nodes so many times its share of the edges that fit is read."""
READ_LIMIT = 5000
"""Edges that are read of one node at most, however few of them pass the filter."""
HUBS = frozenset({NodeType.subsystem, NodeType.vehicle})
"""These connect everything with everything: they end a walk unless it starts from them."""


class Edge(NamedTuple):
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
    return (await strongest_of([node], limit, wanted=wanted, after=after))[node]


async def strongest_of(
    nodes: Iterable[Node], limit: int, *, wanted: Wanted = ANY, after: float = -1.0
) -> dict[Node, Found]:
    """Up to `limit` edges of each of these nodes beyond the rank `after`."""
    asked = list(dict.fromkeys(nodes))
    known = await rankings(node for node in asked if node.type is not NodeType.failure_card)
    large = {node: ranking for node, ranking in known.items() if ranking.degree > SPARE * limit}
    (whole, _), *tops = await together(
        every_edge([node for node in asked if node not in large]),
        *(_top(node, ranking, limit, wanted, after) for node, ranking in large.items()),
    )
    small = {node: _cut(node, edges, limit, wanted, after) for node, edges in whole.items()}
    return small | dict(zip(large, tops, strict=True))


async def _top(node: Node, ranking: Ranking, limit: int, wanted: Wanted, after: float) -> Found:
    found: list[Edge] = []
    ranks: list[float] = []
    low, spare = after, SPARE * limit
    while True:
        exact = low < 0 and limit < len(ranking.head)
        high = await bound(node, ranking, low, limit if exact else spare)
        batch = await _read({"ends": node.key, "rank": {"$gt": low, "$lte": high}})
        ranks += (edge.rank for edge in batch)
        found += [edge for edge in batch if wanted.passes(edge, node)]
        if len(found) > limit or high == WEAKEST or len(ranks) >= READ_LIMIT:
            break
        missing = (limit + 1 - len(found)) * len(ranks) / max(1, len(found))
        low, spare = high, min(SPARE * missing, 2 * spare)
    if after < 0:
        ranking.head_is(ranks)
    found.sort(key=lambda edge: edge.rank)
    return Found(found[:limit], len(found) > limit or high < WEAKEST, max(ranking.degree, len(found)))


def _cut(node: Node, edges: Iterable[Edge], limit: int, wanted: Wanted, after: float) -> Found:
    every = sorted(edges, key=lambda edge: edge.rank)
    passing = [edge for edge in every if edge.rank > after and wanted.passes(edge, node)]
    return Found(passing[:limit], len(passing) > limit, len(every))


async def every_edge(nodes: Sequence[Node], *, limit: int | None = None) -> tuple[dict[Node, list[Edge]], bool]:
    """Every edge of these nodes, which have few each, by node; and whether nodes were left out because `limit` edges
    had been read."""
    found: dict[Node, list[Edge]] = {node: [] for node in nodes}
    read = 0
    for start in range(0, len(nodes), AT_ONCE):
        if limit is not None and read >= limit:
            return found, True
        batch = await _read({"ends": {"$in": [node.key for node in nodes[start : start + AT_ONCE]]}})
        read += len(batch)
        for edge in batch:
            for end in (edge.source, edge.target):
                if end in found:
                    found[end].append(edge)
    return found, False


async def together(*questions: Awaitable[Any]) -> list[Any]:
    """The answers to all, asked at once; within a transaction, which knows no such thing, one after the other."""
    if in_a_transaction():
        return [await question for question in questions]
    return await asyncio.gather(*questions)


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

    Each step leaves room for the next: of two, the first takes half of the nodes at most. A way is as strong as the
    product of its weights. HUBS end it, unless they are centres. The centres themselves are in the result only if they
    have edges.
    """
    limits = budget or Budget()
    graph = Subgraph()
    strength = dict.fromkeys(centres, 1.0)
    frontier = list(strength)
    for level in range(depth):
        going = [node for node in frontier if level == 0 or node.type not in HUBS]
        room = len(centres) + math.ceil((limits.nodes - len(centres)) * (level + 1) / depth)
        # What will not fit need not be read; which nodes have the stronger edges is not known yet.
        spread = UNEVEN if len(going) > 1 else 1
        fitting = max(MIN_PER_NODE, math.ceil(spread * (room - len(strength)) / max(1, len(going))))
        by_node, cut = await _outgoing(going, wanted, limits.edges, min(limits.per_node, fitting))
        graph.truncated |= cut
        frontier = _take(graph, strength, by_node, replace(limits, nodes=room))
    return graph


async def _outgoing(
    frontier: Sequence[Node], wanted: Wanted, edges: int, per_node: int
) -> tuple[dict[Node, list[Edge]], bool]:
    cards = [node for node in frontier if node.type is NodeType.failure_card]
    others = [node for node in frontier if node.type is not NodeType.failure_card]
    (by_node, cut), there = await together(
        every_edge(cards, limit=edges), strongest_of(others, per_node, wanted=wanted)
    )
    by_node = {card: [edge for edge in found if wanted.passes(edge, card)] for card, found in by_node.items()}
    by_node |= {node: found.edges for node, found in there.items()}
    return by_node, cut or any(found.more for found in there.values())


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


_KINDS = {kind.value: kind for kind in NodeType}
_RELATIONS = {relation.value: relation for relation in RelationType}


async def _read(query: Mapping[str, Any]) -> list[Edge]:
    # In one go: the driver would ask for 101 and then for the rest.
    found = await KnowledgeRelation.get_pymongo_collection().find(query, batch_size=READ_LIMIT).to_list()
    now = clock.now()
    weigh = relations.weigher(now)
    return [_edge(document, weigh) for document in found]


def _edge(document: Mapping[str, Any], weigh: relations.Weigher) -> Edge:
    weight, confidence = weigh(document)
    return Edge(
        document["_id"],
        _RELATIONS[document["relation_type"]],
        Node(_KINDS[document["source_type"]], document["source_id"]),
        document["source_label"],
        Node(_KINDS[document["target_type"]], document["target_id"]),
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
