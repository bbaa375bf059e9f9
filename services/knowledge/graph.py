"""Questions to the knowledge graph: neighbours, ways between nodes, cards behind symptoms, what symptoms share."""

import asyncio
import base64
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import networkx as nx

from app.errors import Invalid, NotFound
from matching.storage import rarity
from models.enums import NodeType, RelationType
from services.knowledge import nodes
from services.knowledge.graph_analysis import Analysis, analyse, weighted
from services.knowledge.graph_walk import (
    ANY,
    HUBS,
    Budget,
    Edge,
    Subgraph,
    Wanted,
    every_edge,
    expand,
    strongest,
    strongest_of,
    together,
)
from services.knowledge.nodes import Node, vehicle_key

MAX_LENGTH = 4
"""Edges of the longest way that is looked for: symptom, card, shared part, card, part."""
PATH_BUDGET = Budget(nodes=600, edges=1500, per_node=120)
SYMPTOM_EDGES = 400
"""Cards that are looked at behind one symptom, the strongest."""
MANY_CARDS = 10_000
"""A symptom of so many cards says next to nothing."""
SHARED_CARDS = 100
SHARED_EDGES = 3000
VEHICLE_BUDGET = Budget(nodes=300, edges=1500, per_node=200)
SIMILAR_SEEDS = 20
"""Of the cards found, how many are asked for their like."""

_TO_CARDS = frozenset({RelationType.indicates, RelationType.causes, RelationType.similar_to})


class NoPath(NotFound):
    code, title = "no_path", "No way leads from one to the other"


@dataclass(frozen=True, slots=True)
class Neighbours:
    """One page of a node's edges, strongest first. `degree` is about how many it has in all."""

    node: Node
    label: str
    degree: int
    edges: list[Edge]
    next: str | None


async def neighbours(node: Node, *, wanted: Wanted = ANY, limit: int = 50, after: str | None = None) -> Neighbours:
    """Raises NotFound for a node that nobody knows, Invalid for a cursor that is none."""
    found = await strongest(node, limit, wanted=wanted, after=-1.0 if after is None else _rank_of(after))
    label = await _label(node, found.edges)
    cursor = _cursor(found.edges[-1].rank) if found.more and found.edges else None
    return Neighbours(node, label, found.degree, found.edges, cursor)


async def neighbourhood(node: Node, depth: int, *, wanted: Wanted = ANY, max_nodes: int = 60) -> Subgraph:
    """What lies within `depth` edges, the strongest ways first. Raises NotFound for a node that nobody knows."""
    budget = Budget(nodes=max_nodes, edges=4 * max_nodes, per_node=max_nodes)
    found = await expand([node], depth, wanted=wanted, budget=budget)
    found.nodes = {node: await _label(node, found.edges.values()), **found.nodes}
    return found


@dataclass(frozen=True, slots=True)
class Way:
    """One way through the graph: its nodes with labels, the edges between them, the product of their weights."""

    nodes: list[tuple[Node, str]]
    edges: list[Edge]
    strength: float


async def paths(
    source: Node,
    target: Node,
    *,
    by: Literal["shortest", "strongest"] = "strongest",
    max_length: int = 3,
    limit: int = 3,
) -> tuple[list[Way], bool]:
    """The best ways from one node to another, and whether the search had to leave something out.

    By strength: the product of the weights; by length: the number of edges. No way leads through HUBS. Raises NotFound
    for an unknown node, NoPath, Invalid where both are one.
    """
    if source == target:
        raise Invalid.field("target_id", "must be another node than the source", target.id)
    for end in (source, target):
        await _label(end, ())
    # From both ends at once: two short walks are much smaller than a long one.
    near, far = await together(
        expand([source], math.ceil(max_length / 2), budget=PATH_BUDGET),
        expand([target], max_length // 2, budget=PATH_BUDGET),
    )
    truncated = near.truncated or far.truncated
    ways = await asyncio.to_thread(_best_ways, (near, far), source, target, by, max_length, limit)
    if not ways:
        missed = " Not every edge could be looked at." if truncated else ""
        raise NoPath(f"No way of at most {max_length} edges leads from {source.key} to {target.key}.{missed}")
    return ways, truncated


def _best_ways(
    walks: Sequence[Subgraph], source: Node, target: Node, by: str, max_length: int, limit: int
) -> list[Way]:
    both = Subgraph()
    for edge in _leading_on(walks, {source, target}):
        both.add(edge)
    graph = weighted(both)
    if source not in graph or target not in graph or not nx.has_path(graph, source, target):
        return []
    best = {frozenset((edge.source, edge.target)): edge for edge in sorted(both.edges.values(), key=_by_weight)}
    found = nx.shortest_simple_paths(graph, source, target, weight="cost" if by == "strongest" else None)
    ways = []
    # The strongest way may be a long one: those that are too long are passed over, a bounded number of times.
    for steps in itertools.islice(found, 10 * limit):
        if len(steps) - 1 <= max_length:
            edges = [best[frozenset(pair)] for pair in itertools.pairwise(steps)]
            ways.append(
                Way([(node, both.nodes[node]) for node in steps], edges, math.prod(edge.weight for edge in edges))
            )
        if len(ways) == limit:
            break
    return ways


def _leading_on(walks: Iterable[Subgraph], ends: set[Node]) -> Iterable[Edge]:
    """The edges of walks without those at HUBS and dead ends: only the others can be part of a way between `ends`."""
    edges = list({edge.id: edge for walk in walks for edge in walk.edges.values()}.values())
    while True:
        met = Counter(node for edge in edges for node in (edge.source, edge.target))
        through = {node for node, times in met.items() if times > 1 and node.type not in HUBS} | ends
        kept = [edge for edge in edges if edge.source in through and edge.target in through]
        if len(kept) == len(edges):
            return kept
        edges = kept


def _by_weight(edge: Edge) -> tuple[float, str]:
    return edge.weight, edge.id


@dataclass(frozen=True, slots=True)
class Reached:
    """A card that symptoms lead to, with the ways that lead there, strongest first."""

    card: Node
    title: str
    score: float
    ways: list[Way]


async def reachable_cards(symptom_codes: Sequence[str], *, limit: int = 20) -> tuple[list[Reached], bool]:
    """Cards behind symptoms, best first, and whether some edges were left out.

    Each symptom leads to its cards, and to those that resemble them; its weight counts more the fewer cards it leads
    to. The ways of several symptoms add up as independent hints: 1 − Π (1 − strength). Raises NotFound.
    """
    hints: defaultdict[Node, Hints] = defaultdict(dict)
    truncated = False
    symptoms = [Node(NodeType.symptom, code) for code in symptom_codes]
    to_cards = await strongest_of(symptoms, SYMPTOM_EDGES, wanted=Wanted(relations=_TO_CARDS))
    for symptom in dict.fromkeys(symptoms):
        found = to_cards[symptom]
        await _label(symptom, found.edges)
        truncated |= found.more
        specific = rarity(min(found.degree, MANY_CARDS), MANY_CARDS)
        for edge in found.edges:
            card = edge.other(symptom)
            if card.type is NodeType.failure_card:
                _keep_better(hints[card], symptom, specific * edge.weight, (edge,))
    ranked = sorted(hints, key=lambda card: (-_together(hints[card]), card))
    by_card, _ = await every_edge(ranked[:SIMILAR_SEEDS], limit=SHARED_EDGES)
    for card, edges in by_card.items():
        _pass_on(hints, card, [edge for edge in edges if edge.relation is RelationType.similar_to])
    ranked = sorted(hints, key=lambda card: (-_together(hints[card]), card))[:limit]
    return [_reached(card, hints[card]) for card in ranked], truncated


Hints = dict[Node, tuple[float, tuple[Edge, ...]]]
"""By symptom, how strongly it points to one card, and along which edges."""


def _pass_on(hints: defaultdict[Node, Hints], card: Node, edges: Iterable[Edge]) -> None:
    """What points to a card points, weaker, to those that resemble it."""
    for edge in edges:
        other = edge.other(card)
        for symptom, (strength, along) in list(hints[card].items()):
            if len(along) == 1 and other.type is NodeType.failure_card:
                _keep_better(hints[other], symptom, strength * edge.weight, (*along, edge))


def _keep_better(hints: Hints, symptom: Node, strength: float, along: tuple[Edge, ...]) -> None:
    if symptom not in hints or strength > hints[symptom][0]:
        hints[symptom] = (strength, along)


def _together(hints: Hints) -> float:
    return 1 - math.prod(1 - strength for strength, _ in hints.values())


def _reached(card: Node, hints: Hints) -> Reached:
    ordered = sorted(hints.items(), key=lambda hint: -hint[1][0])
    ways = [_way(symptom, along) for symptom, (_, along) in ordered]
    return Reached(card, ways[0].nodes[-1][1], _together(hints), ways)


def _way(start: Node, along: Sequence[Edge]) -> Way:
    steps = [(start, along[0].label_of(start))]
    for edge in along:
        node = edge.other(steps[-1][0])
        steps.append((node, edge.label_of(node)))
    return Way(steps, list(along), math.prod(edge.weight for edge in along))


@dataclass(frozen=True, slots=True)
class Shared:
    """A card or component that two symptoms lead to: how strongly each does, and both together (the product)."""

    node: Node
    label: str
    strengths: tuple[float, float]

    @property
    def score(self) -> float:
        return self.strengths[0] * self.strengths[1]


async def shared_by(first: str, second: str, *, limit: int = 20) -> tuple[list[Shared], list[Shared], bool]:
    """Cards, and components (parts, subsystems), that both symptoms lead to, best first; and whether some edges were
    left out.

    A component is shared although the cards may differ: two failures of one connector. Raises NotFound, Invalid where
    both symptoms are one.
    """
    if first == second:
        raise Invalid.field("other", "must be another symptom", second)
    labels: dict[Node, str] = {}
    cards: list[dict[Node, float]] = []
    truncated = False
    symptoms = [Node(NodeType.symptom, code) for code in (first, second)]
    to_cards = await strongest_of(symptoms, SYMPTOM_EDGES, wanted=Wanted(relations=_TO_CARDS))
    for symptom in symptoms:
        found = to_cards[symptom]
        await _label(symptom, found.edges)
        truncated |= found.more
        hit: dict[Node, float] = {}
        for edge in found.edges:
            other = edge.other(symptom)
            if other.type is NodeType.failure_card:
                hit[other] = max(hit.get(other, 0.0), edge.weight)
                labels[other] = edge.label_of(other)
        cards.append(hit)
    seeds = [sorted(hit, key=lambda card: (-hit[card], card))[:SHARED_CARDS] for hit in cards]
    truncated |= any(len(hit) > SHARED_CARDS for hit in cards)
    by_card, cut = await every_edge(list(dict.fromkeys(itertools.chain(*seeds))), limit=SHARED_EDGES)
    components = [_components(hit, by_card, labels) for hit in cards]
    return _both(cards, labels, limit), _both(components, labels, limit), truncated or cut


def _components(hit: dict[Node, float], by_card: dict[Node, list[Edge]], labels: dict[Node, str]) -> dict[Node, float]:
    """How strongly a symptom leads to each component of its cards: the strongest way."""
    found: dict[Node, float] = {}
    for card, edges in by_card.items():
        for edge in edges:
            other = edge.other(card)
            if card in hit and other.type in (NodeType.part, NodeType.subsystem):
                found[other] = max(found.get(other, 0.0), hit[card] * edge.weight)
                labels.setdefault(other, edge.label_of(other))
    return found


def _both(sides: Sequence[dict[Node, float]], labels: dict[Node, str], limit: int) -> list[Shared]:
    both = [Shared(node, labels[node], (sides[0][node], sides[1][node])) for node in sides[0].keys() & sides[1].keys()]
    return sorted(both, key=lambda shared: (-shared.score, shared.node))[:limit]


async def of_vehicle(make: str, model: str, *, max_nodes: int = VEHICLE_BUDGET.nodes) -> Subgraph:
    """Failures of a vehicle model, those stated for the whole make included, with their symptoms and parts.

    Raises NotFound for a vehicle that no failure is known of.
    """
    keys = dict.fromkeys((vehicle_key(make, model), vehicle_key(make, "")))
    centres = [Node(NodeType.vehicle, key) for key in keys]
    budget = Budget(nodes=max_nodes, edges=5 * max_nodes, per_node=VEHICLE_BUDGET.per_node)
    found = await expand(centres, 2, budget=budget)
    if not found.nodes:
        raise NotFound.of("vehicle with known failures", f"{make} {model}".strip())
    return found


async def analysis(node: Node, depth: int, *, max_nodes: int = 200) -> Analysis:
    """Which nodes hold the neighbourhood of a node together, and what belongs together there. Raises NotFound."""
    return await asyncio.to_thread(analyse, await neighbourhood(node, depth, max_nodes=max_nodes))


async def _label(node: Node, edges: Iterable[Edge]) -> str:
    """What people call the node. Raises NotFound for one that nobody knows."""
    for edge in edges:
        if node in (edge.source, edge.target):
            return edge.label_of(node)
    found = await strongest(node, 1)
    if found.edges:
        return found.edges[0].label_of(node)
    if node.type in (NodeType.part, NodeType.vehicle) or not await nodes.exists(node):
        raise NotFound.of(node.type.replace("_", " "), node.id)
    return node.id


def _cursor(rank: float) -> str:
    return base64.urlsafe_b64encode(rank.hex().encode()).decode().rstrip("=")


def _rank_of(cursor: str) -> float:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        return float.fromhex(text)
    except (ValueError, OverflowError):
        raise Invalid.field("after", "is not a cursor that this service gave out") from None
