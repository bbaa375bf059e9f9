"""Questions to a small graph whose answers can be read off, and to a hub that is read in part."""

import itertools
import xml.etree.ElementTree as ET

import pytest

from app.database import connect, disconnect, transaction
from app.errors import Invalid, NotFound
from models import ALL_DOCUMENTS
from models.enums import CreationMethod, NodeType, RelationType
from models.knowledge_relation import KnowledgeRelation, RelationContent
from services.knowledge import graph, graph_walk, relations
from services.knowledge.graph_drawing import draw
from services.knowledge.graph_walk import Subgraph, Wanted
from services.knowledge.nodes import Node
from tests.query_plans import watched

pytestmark = pytest.mark.usefixtures("as_system")

SHORT = {
    "SYM": NodeType.symptom, "fc": NodeType.failure_card, "p": NodeType.part,
    "v": NodeType.vehicle, "s": NodeType.subsystem,
}  # fmt: skip
HUB = Node(NodeType.symptom, "SYM_HUB_001")


def node(name: str) -> Node:
    return Node(SHORT[name.partition("_")[0]], name)


def an_edge(source: str, relation: str, target: str, weight: float, **fields: object) -> KnowledgeRelation:
    start, end = node(source), node(target)
    content = RelationContent(
        source_type=start.type,
        source_id=start.id,
        source_label=f"<{source}>",
        relation_type=RelationType(relation),
        target_type=end.type,
        target_id=end.id,
        target_label=f"<{target}>",
        weight=weight,
        bidirectional=relation == "similar_to",
    )
    return relations.new_edge(content, CreationMethod.inferred, stated=True).model_copy(update=fields)


async def a_small_graph() -> None:
    """Two symptoms, three cards, two parts; the second card needs the same part as the first."""
    edges = [
        ("SYM_A_001", "indicates", "fc_1", 0.9),
        ("fc_1", "causes", "SYM_A_001", 0.4),
        ("SYM_A_001", "indicates", "fc_2", 0.5),
        ("SYM_B_001", "indicates", "fc_2", 0.8),
        ("SYM_B_001", "indicates", "fc_3", 0.6),
        ("fc_1", "requires", "p_1", 0.5),
        ("fc_2", "requires", "p_2", 0.9),
        ("fc_3", "requires", "p_1", 0.5),
        ("fc_1", "similar_to", "fc_4", 0.7),
        ("fc_4", "requires", "p_3", 0.8),
        ("fc_1", "affects", "s_x", 0.9),
        ("fc_3", "affects", "s_x", 0.9),
        ("v_a|b", "has_failure", "fc_1", 0.5),
    ]
    await KnowledgeRelation.insert_many([an_edge(*edge) for edge in edges])


async def a_hub(edges: int) -> None:
    """A symptom of very many cards, most of them of one and the same weight."""
    await KnowledgeRelation.insert_many(
        [an_edge(HUB.id, "indicates", f"fc_{number:05d}", 0.9 if number % 100 == 0 else 0.5) for number in range(edges)]
    )


def names(found: Subgraph) -> set[str]:
    return {one.id for one in found.nodes}


async def test_neighbours_come_strongest_first_and_can_be_filtered():
    await a_small_graph()
    every = await graph.neighbours(node("fc_1"))
    assert [edge.weight for edge in every.edges] == [0.9, 0.9, 0.7, 0.5, 0.5, 0.4]
    assert (every.degree, every.next, every.label) == (6, None, "<fc_1>")

    async def with_(**wanted: object) -> set[str]:
        found = await graph.neighbours(node("fc_1"), wanted=Wanted(**wanted))
        return {edge.other(node("fc_1")).id for edge in found.edges}

    assert await with_(relations=frozenset({RelationType.requires})) == {"p_1"}
    assert await with_(node_types=frozenset({NodeType.symptom, NodeType.vehicle})) == {"SYM_A_001", "v_a|b"}
    assert await with_(direction="out", min_weight=0.45) == {"p_1", "fc_4", "s_x"}
    assert await with_(direction="in", min_weight=0.6) == {"SYM_A_001", "fc_4"}


async def test_a_hub_is_paged_without_gaps_and_without_reading_it_whole(monkeypatch: pytest.MonkeyPatch):
    await a_hub(3000)
    read = 0
    reading = graph_walk._read

    async def counted(query):
        nonlocal read
        found = await reading(query)
        read += len(found)
        return found

    monkeypatch.setattr(graph_walk, "_read", counted)
    first = await graph.neighbours(HUB, limit=50)
    assert {edge.weight for edge in first.edges[:30]} == {0.9}
    assert len(first.edges) == 50
    assert read < 400  # of 3,000: samples are drawn by chance, and some 90 are usual
    assert 1500 < first.degree < 6000
    read = 0
    assert await graph.neighbours(HUB, limit=50) == first
    assert read == 51  # how they are ranked is remembered
    seen, page = list(first.edges), first
    while page.next:
        page = await graph.neighbours(HUB, limit=200, after=page.next)
        seen += page.edges
    assert len({edge.id for edge in seen}) == len(seen) == 3000
    assert [edge.rank for edge in seen] == sorted(edge.rank for edge in seen)


async def test_within_a_transaction_the_walk_is_the_same():
    await a_small_graph()
    await a_hub(600)
    outside = await graph.neighbourhood(node("SYM_A_001"), 2), await graph.neighbourhood(HUB, 1)
    async with transaction():
        assert (await graph.neighbourhood(node("SYM_A_001"), 2), await graph.neighbourhood(HUB, 1)) == outside


async def test_a_neighbourhood_keeps_to_its_budget_and_says_so():
    await a_small_graph()
    near = await graph.neighbourhood(node("fc_1"), 1)
    assert names(near) == {"fc_1", "SYM_A_001", "p_1", "fc_4", "s_x", "v_a|b"}
    assert not near.truncated
    far = await graph.neighbourhood(node("SYM_A_001"), 2)
    assert names(far) == {"SYM_A_001", "fc_1", "fc_2", "p_1", "p_2", "fc_4", "s_x", "v_a|b", "SYM_B_001"}
    # A subsystem ends a walk: it would lead to everything.
    assert "fc_3" not in names(far)
    assert names(await graph.neighbourhood(node("s_x"), 1)) == {"s_x", "fc_1", "fc_3"}
    small = await graph.neighbourhood(node("SYM_A_001"), 2, max_nodes=3)
    # The first step leaves room for the second.
    assert (names(small), small.truncated) == ({"SYM_A_001", "fc_1", "s_x"}, True)
    await a_hub(600)
    hub = await graph.neighbourhood(HUB, 1, max_nodes=20)
    assert (len(hub.nodes), hub.truncated) == (20, True)


async def test_unknown_nodes_are_errors_and_lonely_ones_are_not():
    for unknown in ("SYM_NOT_001", "fc_none", "p_none", "v_none"):
        with pytest.raises(NotFound):
            await graph.neighbours(node(unknown))
    alone = await graph.neighbours(Node(NodeType.subsystem, "bms"))
    assert (alone.edges, alone.label) == ([], "bms")
    with pytest.raises(Invalid):
        await graph.neighbours(node("fc_1"), after="no cursor")


async def test_ways_by_strength_and_by_length():
    await a_small_graph()
    strongest, truncated = await graph.paths(node("SYM_A_001"), node("p_2"), max_length=4)
    assert [[step.id for step, _ in way.nodes] for way in strongest] == [["SYM_A_001", "fc_2", "p_2"]]
    assert strongest[0].strength == pytest.approx(0.45)
    assert not truncated
    [through_like] = (await graph.paths(node("SYM_A_001"), node("p_3")))[0]
    assert [edge.relation for edge in through_like.edges] == ["indicates", "similar_to", "requires"]
    both, _ = await graph.paths(node("SYM_B_001"), node("p_1"), max_length=4, by="shortest", limit=5)
    assert [len(way.edges) for way in both] == [2, 4]
    # Where the long way is the stronger one, strength prefers it.
    await KnowledgeRelation.insert_many([an_edge("fc_2", "similar_to", "fc_1", 0.95)])
    await KnowledgeRelation.get_pymongo_collection().delete_one({"source_id": "SYM_B_001", "target_id": "fc_3"})
    await KnowledgeRelation.insert_many(
        [an_edge("SYM_B_001", "indicates", "fc_9", 0.1), an_edge("fc_9", "requires", "p_1", 0.1)]
    )
    by_strength, _ = await graph.paths(node("SYM_B_001"), node("p_1"), limit=1)
    by_length, _ = await graph.paths(node("SYM_B_001"), node("p_1"), limit=1, by="shortest")
    assert [len(by_strength[0].edges), len(by_length[0].edges)] == [3, 2]


async def test_where_no_way_leads():
    await a_small_graph()
    with pytest.raises(graph.NoPath):
        await graph.paths(node("SYM_A_001"), node("p_3"), max_length=2)
    with pytest.raises(NotFound):
        await graph.paths(node("SYM_A_001"), node("p_none"))
    with pytest.raises(Invalid):
        await graph.paths(node("p_1"), node("p_1"))


async def test_cards_behind_symptoms_are_ranked_with_their_reasons():
    await a_small_graph()
    found, truncated = await graph.reachable_cards(["SYM_A_001", "SYM_B_001"])
    assert [one.card.id for one in found] == ["fc_2", "fc_1", "fc_4", "fc_3"]
    assert not truncated
    by_id = {one.card.id: one for one in found}
    assert [len(way.edges) for way in by_id["fc_2"].ways] == [1, 1]
    # Two cards each: both symptoms are rare.
    assert by_id["fc_2"].score == pytest.approx(1 - 0.5 * 0.2, abs=0.07)
    [like] = by_id["fc_4"].ways
    assert [step.id for step, _ in like.nodes] == ["SYM_A_001", "fc_1", "fc_4"]
    assert like.strength == pytest.approx(0.9 * 0.7)
    with pytest.raises(NotFound):
        await graph.reachable_cards(["SYM_A_001", "SYM_NOT_001"])


async def test_what_two_symptoms_share():
    await a_small_graph()
    cards, components, truncated = await graph.shared_by("SYM_A_001", "SYM_B_001")
    assert [one.node.id for one in cards] == ["fc_2"]
    # fc_1 and fc_3 are different failures of the same part and subsystem.
    assert [one.node.id for one in components] == ["s_x", "p_2", "p_1"]
    assert components[-1].strengths == (pytest.approx(0.45), pytest.approx(0.3))
    assert not truncated
    with pytest.raises(Invalid):
        await graph.shared_by("SYM_A_001", "SYM_A_001")


async def test_the_failures_of_a_vehicle():
    await a_small_graph()
    model, make = an_edge("v_a", "has_failure", "fc_1", 0.5), an_edge("v_b", "has_failure", "fc_3", 0.5)
    for one, key in ((model, "ather|450x"), (make, "ather|")):
        one.source_id, one.ends[0] = key, f"vehicle:{key}"
    await KnowledgeRelation.insert_many([model, make])
    found = await graph.of_vehicle("Ather", "450X")
    assert {"ather|450x", "ather|", "fc_1", "fc_3", "SYM_A_001", "SYM_B_001", "p_1", "fc_4"} <= names(found)
    assert "fc_2" not in names(found)
    assert "ather|450x" not in names(await graph.of_vehicle("Ather", ""))
    with pytest.raises(NotFound):
        await graph.of_vehicle("Nobody", "Knows")


async def test_analysis_finds_the_node_that_holds_it_together():
    await a_small_graph()
    found = await graph.analysis(node("SYM_A_001"), 2)
    between = {one.node.id: one.betweenness for one in found.nodes}
    assert found.nodes[0].node.id == "fc_1"
    assert between["fc_1"] > between["fc_2"] > between["p_2"] == 0
    assert sorted(itertools.chain(*found.communities)) == sorted(one.node for one in found.nodes)
    assert (await graph.analysis(node("SYM_A_001"), 2)) == found
    assert (await graph.analysis(Node(NodeType.subsystem, "bms"), 1)).nodes == []


async def test_the_drawing_is_safe_and_the_same_each_time():
    await a_small_graph()
    found = await graph.neighbourhood(node("SYM_A_001"), 2)
    picture = draw(found, node("SYM_A_001"))
    assert picture == draw(found, node("SYM_A_001"))
    root = ET.fromstring(picture)
    space = {"svg": "http://www.w3.org/2000/svg"}
    boxes = root.findall(".//svg:g[@class]", space)
    assert {box.findtext("svg:title", namespaces=space) for box in boxes} >= {"symptom: <SYM_A_001>", "part: <p_1>"}
    assert len(boxes) == len(found.nodes)
    assert len(root.findall("svg:path", space)) == len(found.edges)
    assert "style" not in picture
    assert "script" not in picture
    corners = {(rect.get("x"), rect.get("y")) for rect in root.findall(".//svg:rect", space)}
    assert len(corners) == len(boxes)


async def test_every_question_has_its_index(database_url: str, database_name: str):
    await a_small_graph()
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        await a_hub(600)
        await graph.neighbours(HUB)
        await graph.neighbourhood(node("SYM_A_001"), 2)
        await graph.paths(node("SYM_A_001"), node("p_1"))
        await graph.reachable_cards(["SYM_A_001"])
        await graph.shared_by("SYM_A_001", "SYM_B_001")
    assert await queries.scans(database) == set()
