import pytest

from models.knowledge_relation import KnowledgeRelation
from services.knowledge import graph, graph_upkeep
from services.knowledge.edge_weights import sample_of
from services.knowledge.nodes import Node
from tests.services.knowledge.samples import stored_card

pytestmark = pytest.mark.usefixtures("as_system")


async def as_once_stored(source: tuple[str, str], relation: str, target: tuple[str, str], **fields: object) -> None:
    document = {
        "_id": f"rel_{source[1]}_{target[1]}",
        "source_type": source[0],
        "source_id": source[1],
        "source_label": source[1],
        "relation_type": relation,
        "target_type": target[0],
        "target_id": target[1],
        "target_label": target[1],
        "weight": 0.5,
        "confidence": 0.5,
        "evidence_count": 1,
        "revision": 1,
        "bidirectional": False,
        "last_observed": None,
        "creation_method": "manual",
    }
    await KnowledgeRelation.get_pymongo_collection().insert_one(document | fields)


async def test_a_graph_of_the_older_form_is_brought_over_and_completed():
    card = await stored_card(required_parts=[{"part_name": "Fuse"}], symptom_codes=["SYM_BATT_001"])
    itself = ("failure_card", card.id)
    await as_once_stored(itself, "requires", ("part", "fuse"), evidence_count=4)
    await as_once_stored(("symptom", "SYM_SEEN_001"), "indicates", itself, creation_method="inferred", evidence_count=3)
    await as_once_stored(("part", "a"), "similar_to", ("part", "b"), weight=0.9)

    first = await graph_upkeep.bring_over()
    assert first["edges"] == 3
    found = await graph.neighbours(Node("failure_card", card.id))
    edges = {edge.other(found.node).id: edge for edge in found.edges}
    assert edges.keys() == {"fuse", "SYM_SEEN_001", "SYM_BATT_001", "bms", "ather|450x"}
    assert (edges["fuse"].stated, edges["fuse"].evidence_count) == (True, 3)
    assert edges["fuse"].weight == pytest.approx((4 * 0.5 + 3) / 7, abs=0.01)
    assert (edges["SYM_SEEN_001"].stated, edges["SYM_SEEN_001"].evidence_count) == (False, 3)
    [by_hand] = (await graph.neighbours(Node("part", "a"))).edges
    assert (by_hand.weight, by_hand.creation_method, by_hand.stated) == (0.3, "manual", True)

    assert await graph_upkeep.bring_over() == {"edges": 0, "linked": 0}


async def test_edges_from_before_there_were_samples_are_put_into_theirs():
    edges = KnowledgeRelation.get_pymongo_collection()
    for number in range(60):
        await as_once_stored(("part", f"p{number}"), "similar_to", ("part", "b"), slot=0.5)
    await edges.create_index([("ends", 1), ("slot", 1)])

    done = await graph_upkeep.draw_samples()
    drawn = {edge["_id"]: edge["sample"] async for edge in edges.find({"sample": {"$gte": 1}})}
    assert drawn == {id_: sample for n in range(60) if (sample := sample_of(id_ := f"rel_p{n}_b"))}
    assert done == {"edges": len(drawn), "indexes": 1}
    assert 0 < len(drawn) < 20
    assert await graph_upkeep.draw_samples() == {"edges": 0, "indexes": 0}


async def test_relinking_goes_through_all_cards_and_tells_how_far_it_is():
    made = [await stored_card(title=f"Failure {number}") for number in range(45)]
    steps: list[int] = []
    assert await graph_upkeep.relink(steps.append) == 2 * len(made)
    assert steps == [20, 20, 5]
