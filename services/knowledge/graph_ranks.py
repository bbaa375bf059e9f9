"""How the edges of a node are ranked, told without reading them all: by samples.

Every edge is in one sample at most (`edge_weights.sample_of`). The rarest is looked at first, for many nodes in one
query, and more common ones for those nodes alone of which it showed too little. A bound among the strongest edges is
found as in a skip list: between two ranks of a rare sample the next, more common one is looked at. So what is read
grows with what is wanted, hardly with the node.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from models.knowledge_relation import KnowledgeRelation
from services.knowledge.edge_weights import SAMPLE_SHARE, SAMPLES
from services.knowledge.nodes import Node

TELLING = 4
"""So many edges of a node tell how all of them are ranked."""
FINE = 3
"""A bound is placed at this one of the ranks in a sample at least, or a more common sample is looked at."""
REMEMBERED = 20_000
"""Nodes of which is kept in memory how their edges are ranked, the ones asked for last."""
REMEMBERED_SECONDS = 600.0
"""For so long. What is remembered makes reading thrifty; old, it makes it less so, never wrong: ranges are read until
there is enough."""
HEAD = 500
"""Of the strongest edges of a node, so many ranks are remembered, once they have been read."""
WEAKEST = 2.0
"""Beyond every rank."""


@dataclass(slots=True)
class Ranking:
    """How a node's edges are ranked: the `ranks` in their order of those that are in `sample` or a rarer one, and the
    ranks of the strongest (`head`) without a gap."""

    ranks: list[float]
    sample: int
    until: float
    head: list[float] = field(default_factory=list)

    @property
    def degree(self) -> int:
        """About how many edges the node has."""
        return round(len(self.ranks) / _share(self.sample))

    def head_is(self, ranks: Iterable[float]) -> None:
        """Remember ranks that have been read: all from the strongest on, in any order."""
        read = sorted(ranks)[:HEAD]
        if len(read) > len(self.head):
            self.head = read


remembered: dict[tuple[str, str], Ranking] = {}
"""By collection and node, the ones asked for last at the end."""


async def rankings(nodes: Iterable[Node]) -> dict[Node, Ranking]:
    """How the edges of each of these nodes are ranked."""
    place = KnowledgeRelation.get_pymongo_collection().full_name
    found: dict[Node, Ranking] = {}
    unknown = []
    for node in dict.fromkeys(nodes):
        known = remembered.pop((place, node.key), None)
        if known is None or known.until < time.monotonic():
            unknown.append(node)
        else:
            found[node] = known
    found |= await _sampled(unknown)
    for node, ranking in found.items():
        remembered[place, node.key] = ranking
    while len(remembered) > REMEMBERED:
        del remembered[next(iter(remembered))]
    return found


async def _sampled(nodes: Iterable[Node]) -> dict[Node, Ranking]:
    collection = KnowledgeRelation.get_pymongo_collection()
    until = time.monotonic() + REMEMBERED_SECONDS
    found = {node: Ranking([], SAMPLES + 1, until) for node in nodes}
    asked = {node.key: ranking for node, ranking in found.items()}
    for sample in range(SAMPLES, 0, -1):
        if not asked:
            break
        query = {"sample": sample, "ends": {"$in": list(asked)}}
        async for edge in collection.find(query, {"rank": 1, "ends": 1}):
            for key in edge["ends"]:
                if key in asked:
                    asked[key].ranks.append(edge["rank"])
        for ranking in asked.values():
            ranking.ranks.sort()
            ranking.sample = sample
        asked = {key: ranking for key, ranking in asked.items() if len(ranking.ranks) < TELLING}
    return found


async def bound(node: Node, ranking: Ranking, low: float, edges: float) -> float:
    """A rank up to which the node has about so many edges beyond the rank `low`; WEAKEST where it has no more."""
    if low < 0 and edges < len(ranking.head):
        return ranking.head[math.ceil(edges)]
    high = WEAKEST
    ranks, sample = [rank for rank in ranking.ranks if rank > low], ranking.sample
    while True:
        place = math.ceil(edges * _share(sample))
        if place < len(ranks):
            high = ranks[place]
        if place >= FINE or sample == 1:
            return high
        sample -= 1
        query = {"sample": sample, "ends": node.key, "rank": {"$gt": low, "$lte": high}}
        finer = await KnowledgeRelation.get_pymongo_collection().find(query, {"rank": 1}).to_list()
        ranks = sorted([rank for rank in ranks if rank <= high] + [edge["rank"] for edge in finer])


def _share(sample: int) -> float:
    """The share of all edges that are in this sample or a rarer one."""
    return SAMPLE_SHARE**sample
