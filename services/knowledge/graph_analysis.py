"""What networkx makes of a bounded part of the knowledge graph: what holds it together, and what belongs together.

Pure functions of a Subgraph; they take up to a second on the largest, so call them in a thread.
"""

import math
from dataclasses import dataclass

import networkx as nx

from services.knowledge.graph_walk import Subgraph
from services.knowledge.nodes import Node

PIVOTS = 64
"""Nodes from which betweenness is estimated (Brandes & Pich 2007); all of them in a smaller graph."""
SEED = 1
"""Of the sample and of the community search: the same graph always gives the same answer."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A node with its part in the graph. `strength` is the sum of its edges' weights; `betweenness` the share of
    strongest ways between other nodes that lead through it; `community` an index into `Analysis.communities`."""

    node: Node
    label: str
    strength: float
    betweenness: float
    community: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """Nodes, those that most ways lead through first, and communities (Louvain), the largest first."""

    nodes: list[Ranked]
    communities: list[list[Node]]
    modularity: float
    truncated: bool


def weighted(subgraph: Subgraph) -> nx.Graph:
    """The subgraph without directions: parallel edges become one with the greatest `weight`; `cost` is −log weight."""
    graph = nx.Graph()
    graph.add_nodes_from(sorted(subgraph.nodes))
    for edge in sorted(subgraph.edges.values(), key=lambda edge: (edge.weight, edge.id)):
        if edge.weight > 0:
            graph.add_edge(edge.source, edge.target, weight=edge.weight, cost=cost_of(edge.weight))
    return graph


def cost_of(weight: float) -> float:
    """Costs add up where weights multiply; never quite 0, so that of two sure ways the shorter one wins."""
    return -math.log(min(weight, 1.0)) + 1e-9


def analyse(subgraph: Subgraph) -> Analysis:
    """Centrality and communities of the subgraph."""
    graph = weighted(subgraph)
    if not graph.number_of_edges():
        return Analysis([], [], 0.0, subgraph.truncated)
    strength = dict(graph.degree(weight="weight"))
    pivots = min(PIVOTS, len(graph))
    between = nx.betweenness_centrality(graph, k=pivots, weight="cost", seed=SEED)
    found = nx.community.louvain_communities(graph, weight="weight", seed=SEED)
    communities = sorted((sorted(members) for members in found), key=lambda members: (-len(members), members))
    home = {node: place for place, members in enumerate(communities) for node in members}
    ranked = [Ranked(node, subgraph.nodes[node], strength[node], between[node], home[node]) for node in graph]
    ranked.sort(key=lambda one: (-one.betweenness, -one.strength, one.node))
    modularity = nx.community.modularity(graph, communities, weight="weight")
    return Analysis(ranked, communities, modularity, subgraph.truncated)
