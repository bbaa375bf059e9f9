"""Samples tell how a node's edges are ranked: of many nodes at once, and to any depth among the strongest."""

from collections import Counter

import pytest

from models.enums import CreationMethod, NodeType, RelationType
from models.knowledge_relation import KnowledgeRelation, RelationContent
from services.knowledge import graph_ranks, relations
from services.knowledge.edge_weights import SAMPLE_SHARE, SAMPLES, rank_of, sample_of
from services.knowledge.graph_ranks import WEAKEST, Ranking, bound, rankings
from services.knowledge.nodes import Node

pytestmark = pytest.mark.usefixtures("as_system")

LARGE, MIDDLE, SMALL, UNKNOWN = (Node(NodeType.part, name) for name in ("large", "middle", "small", "unknown"))
DEGREES = {LARGE: 6000, MIDDLE: 900, SMALL: 5}


@pytest.fixture
async def ranks() -> dict[Node, list[float]]:
    """Stores three nodes of very different size, two thirds of whose edges tie; gives their ranks in order. The same
    ones each time."""
    template = relations.new_edge(
        RelationContent(
            source_type=NodeType.part,
            source_id="large",
            source_label="a part",
            relation_type=RelationType.resolves,
            target_type=NodeType.failure_card,
            target_id="1",
            target_label="a card",
        ),
        CreationMethod.inferred,
        stated=True,
    )
    stored = template.model_dump(exclude={"id", "revision_id"})
    found: dict[Node, list[float]] = {}
    for node, degree in DEGREES.items():
        edges = []
        for number in range(degree):
            id_ = f"rel_{node.id}_{number}"
            own = {
                "_id": id_,
                "source_id": node.id,
                "target_id": str(number),
                "ends": [node.key, f"failure_card:{number}"],
            }
            edges.append(
                stored | own | {"sample": sample_of(id_), "rank": rank_of(id_, 0.7 if number % 3 == 0 else 0.5)}
            )
        await KnowledgeRelation.get_pymongo_collection().insert_many(edges)
        found[node] = sorted(edge["rank"] for edge in edges)
    graph_ranks.remembered.clear()
    return found


def test_each_sample_is_rarer_than_the_one_before():
    drawn = Counter(sample_of(f"rel_{number}") for number in range(40_000))
    for sample in range(1, SAMPLES + 1):
        share = sum(drawn[rarer] for rarer in range(sample, SAMPLES + 1)) / drawn.total()
        assert share == pytest.approx(SAMPLE_SHARE**sample, rel=0.3)


async def test_nodes_of_every_size_are_told_apart_and_remembered(ranks: dict[Node, list[float]]):
    found = await rankings([LARGE, MIDDLE, SMALL, UNKNOWN, LARGE])
    assert (found[LARGE].sample, found[MIDDLE].sample, found[SMALL].sample) == (SAMPLES, SAMPLES - 1, 1)
    for node in (LARGE, MIDDLE):
        assert len(found[node].ranks) < 50
        assert DEGREES[node] / 2 < found[node].degree < 2 * DEGREES[node]
        assert found[node].ranks == sorted(found[node].ranks)
        assert set(found[node].ranks) < set(ranks[node])
    assert found[SMALL].degree <= 40
    assert found[UNKNOWN].degree == 0
    assert (await rankings([MIDDLE]))[MIDDLE] is found[MIDDLE]


@pytest.mark.parametrize("wanted", [20, 90, 600])
async def test_a_bound_holds_about_as_many_edges_as_are_wanted(ranks: dict[Node, list[float]], wanted: int):
    for node, ranking in (await rankings([LARGE, MIDDLE])).items():
        for beyond in (-1.0, ranks[node][150]):
            high = await bound(node, ranking, beyond, wanted)
            held = sum(beyond < rank <= high for rank in ranks[node])
            assert wanted / 3 < held < 3 * wanted, (node, beyond)


async def test_beyond_the_last_edges_there_is_no_bound(ranks: dict[Node, list[float]]):
    ranking = (await rankings([LARGE]))[LARGE]
    assert await bound(LARGE, ranking, ranks[LARGE][-3], 50) == WEAKEST
    assert await bound(LARGE, ranking, -1.0, 2 * DEGREES[LARGE]) == WEAKEST


async def test_ranks_that_were_read_bound_to_the_edge(ranks: dict[Node, list[float]]):
    ranking = Ranking([], 1, 0.0)
    ranking.head_is(reversed(ranks[LARGE][:100]))
    ranking.head_is(ranks[LARGE][:10])
    assert await bound(LARGE, ranking, -1.0, 30) == ranks[LARGE][30]
