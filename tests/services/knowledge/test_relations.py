import pytest

from app.database import in_transaction
from app.errors import Duplicate, Invalid, NotFound
from models.enums import CreationMethod
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation, RelationContent
from services.knowledge import relations
from tests.services.knowledge.samples import stored_card

pytestmark = pytest.mark.usefixtures("as_system")


async def a_linked_card() -> FailureCard:
    return await stored_card(
        symptom_codes=["SYM_CHRG_003", "SYM_BATT_001"],
        symptoms=[{"symptom_code": "SYM_CHRG_003", "description": "Stops at 80 %"}],
        required_parts=[{"part_name": "Balancing  Board"}, {"part_name": "Fuse", "part_number": "F-12"}],
        vehicle_models=[{"make": "Ather", "model": "450X", "year_from": year} for year in (2022, 2023)],
        confidence_score=0.8,
    )


def edge(**fields: object) -> RelationContent:
    return RelationContent.model_validate(
        {
            "source_type": "part",
            "source_id": "F-12",
            "source_label": "Fuse",
            "relation_type": "similar_to",
            "target_type": "part",
            "target_id": "F-13",
            "target_label": "Fuse, new form",
            **fields,
        }
    )


async def edges() -> set[tuple[str, str, str]]:
    found = await KnowledgeRelation.find_all().to_list()
    return {(relation.source_id, relation.relation_type.value, relation.target_id) for relation in found}


async def test_a_card_is_linked_to_all_it_names():
    card = await a_linked_card()
    assert await in_transaction(lambda: relations.link_card(card, CreationMethod.inferred)) == 6
    assert await edges() == {
        ("SYM_CHRG_003", "indicates", card.id),
        ("SYM_BATT_001", "indicates", card.id),
        (card.id, "requires", "balancing board"),
        (card.id, "requires", "F-12"),
        (card.id, "affects", "bms"),
        ("ather|450x", "has_failure", card.id),
    }
    symptom = await KnowledgeRelation.find_one({"source_id": "SYM_CHRG_003"})
    assert symptom is not None
    assert (symptom.source_label, symptom.target_label) == ("Stops at 80 %", card.title)
    assert (symptom.weight, symptom.confidence, symptom.evidence_count) == (0.5, 0.8, 1)
    assert (symptom.created_by, symptom.creation_method) == ("system:test", "inferred")
    assert symptom.last_observed is not None


async def test_linking_again_adds_evidence_and_no_edges():
    card = await a_linked_card()
    await in_transaction(lambda: relations.link_card(card, CreationMethod.inferred))
    await in_transaction(lambda: relations.link_card(card, CreationMethod.inferred, evidence=2))
    found = await KnowledgeRelation.find_all().to_list()
    assert len(found) == 6
    assert {relation.evidence_count for relation in found} == {3}
    assert [relation.weight for relation in found] == pytest.approx([1 - 0.5 * 0.9**2] * 6)


async def test_linking_without_evidence_only_fills_gaps():
    card = await a_linked_card()
    await in_transaction(lambda: relations.link_card(card, CreationMethod.inferred))
    await KnowledgeRelation.get_pymongo_collection().delete_one({"target_id": "bms"})
    await in_transaction(lambda: relations.link_card(card, CreationMethod.inferred, evidence=0))
    found = await KnowledgeRelation.find_all().to_list()
    assert len(found) == 6
    assert {(relation.evidence_count, relation.revision) for relation in found} == {(1, 1)}


async def test_observing_makes_an_edge_and_then_strengthens_it():
    for _ in range(3):
        await in_transaction(lambda: relations.observe([edge(), edge()], CreationMethod.inferred))
    [found] = await KnowledgeRelation.find_all().to_list()
    assert (found.evidence_count, found.weight) == (3, pytest.approx(0.595))


async def test_an_edge_is_made_by_hand_once():
    made = await relations.create(edge(weight=0.9))
    assert (await relations.get(made.id)).creation_method == "manual"
    with pytest.raises(Duplicate):
        await relations.create(edge(weight=0.1))
    with pytest.raises(NotFound):
        await relations.get("rel_gone")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"target_id": "F-12"}, "target_id"),
        ({"target_type": "failure_card", "target_id": "fc_gone"}, "target_id"),
        ({"source_type": "symptom", "source_id": "SYM_BATT_404"}, "source_id"),
        ({"source_type": "subsystem", "source_id": "flux capacitor"}, "source_id"),
    ],
)
async def test_both_ends_must_exist_and_differ(fields: dict[str, str], field: str):
    with pytest.raises(Invalid) as refused:
        await relations.create(edge(**fields))
    assert refused.value.extra["errors"][0]["field"] == field


async def test_lists_by_source_target_and_type():
    card = await a_linked_card()
    await in_transaction(lambda: relations.link_card(card, CreationMethod.inferred))
    by_hand = await relations.create(edge())

    async def listed(**wanted: object) -> int:
        return len((await relations.list_relations(**wanted)).items)

    assert await listed() == 7
    assert await listed(source_id=card.id) == 3
    assert await listed(target_id=card.id) == 3
    assert await listed(relation_type="requires") == 2
    assert await listed(source_id=card.id, relation_type="affects") == 1
    assert (await relations.list_relations(limit=1)).items[0].id == by_hand.id
