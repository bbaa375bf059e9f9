"""Edges follow what cards state and what repairs show."""

from typing import Any

import pytest

from app import clock
from app.database import in_transaction
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation
from models.symptom import SymptomContent
from models.ticket import Ticket
from services.knowledge import graph_edges, relations, symptoms
from services.knowledge.edge_weights import APPROVED_WEIGHT, DRAFT_WEIGHT, UNSTATED_WEIGHT
from services.knowledge.graph_edges import CardUse
from services.writing import update
from tests.services.knowledge.samples import a_ticket, stored_card

pytestmark = pytest.mark.usefixtures("as_system")


async def a_linked_card(**fields: Any) -> FailureCard:
    card = await stored_card(
        **{
            "symptom_codes": ["SYM_CHRG_003", "SYM_BATT_001"],
            "symptoms": [{"symptom_code": "SYM_CHRG_003", "description": "Stops at 80 %"}],
            "required_parts": [{"part_name": "Balancing  Board"}, {"part_name": "Fuse", "part_number": "F-12"}],
            "vehicle_models": [{"make": "Ather", "model": "450X", "year_from": year} for year in (2022, 2023)],
            "confidence_score": 0.8,
        }
        | fields
    )
    await link(card)
    return card


async def link(card: FailureCard) -> int:
    return await in_transaction(lambda: graph_edges.link_card(card))


async def one(source_id: str, target_id: str, relation: str = "indicates") -> KnowledgeRelation:
    found = await KnowledgeRelation.find_one(
        {"source_id": source_id, "target_id": target_id, "relation_type": relation}
    )
    assert found is not None, (source_id, relation, target_id)
    return found


async def living() -> set[tuple[str, str, str]]:
    found = await KnowledgeRelation.find_all().to_list()
    return {(edge.source_id, edge.relation_type.value, edge.target_id) for edge in found if not edge.ended_at}


async def repaired(ticket: Ticket, *uses: CardUse, number: int = 1) -> int:
    return await in_transaction(lambda: graph_edges.observe_passage(ticket, number, uses, ticket.created_at))


async def test_a_card_is_linked_to_all_it_states():
    await symptoms.create(SymptomContent(symptom_code="SYM_BATT_001", name="Range drops", category="battery"))
    card = await a_linked_card()
    assert await living() == {
        ("SYM_CHRG_003", "indicates", card.id),
        ("SYM_BATT_001", "indicates", card.id),
        (card.id, "requires", "balancing board"),
        (card.id, "requires", "F-12"),
        (card.id, "affects", "bms"),
        ("ather|450x", "has_failure", card.id),
    }
    edge = await one("SYM_CHRG_003", card.id)
    assert (edge.source_label, edge.target_label) == ("Stops at 80 %", card.title)
    assert (edge.weight, edge.confidence, edge.evidence_count) == (APPROVED_WEIGHT, pytest.approx(0.8), 0)
    assert (edge.created_by, edge.creation_method, edge.stated) == ("system:test", "inferred", True)
    assert (await one("SYM_BATT_001", card.id)).source_label == "Range drops"
    assert await link(card) == 0


async def test_an_approval_strengthens_what_the_draft_said():
    card = await a_linked_card(status="draft")
    assert (await one("SYM_CHRG_003", card.id)).weight == DRAFT_WEIGHT
    assert await link(await update(card, {"status": "approved"})) == 6
    assert (await one("SYM_CHRG_003", card.id)).weight == APPROVED_WEIGHT


async def test_what_is_no_longer_stated_ends_unless_repairs_have_shown_it():
    card = await a_linked_card()
    ticket = await a_ticket(symptom_codes=["SYM_CHRG_003"])
    await repaired(ticket, CardUse(card.id, worked=True))
    edited = await update(card, {"symptom_codes": [], "required_parts": [], "title": "Balancing resistor open"})
    await link(edited)
    shown, unshown = await one("SYM_CHRG_003", card.id), await one("SYM_BATT_001", card.id)
    assert (shown.stated, shown.ended_at) == (False, None)
    assert shown.weight == pytest.approx((4 * UNSTATED_WEIGHT + 1) / 5, abs=0.01)
    assert unshown.ended_at is not None
    assert unshown.ends == []
    assert (await one(card.id, "bms", "affects")).source_label == "Balancing resistor open"
    # Said again, it is there again, with what it knew.
    await link(await update(edited, {"symptom_codes": ["SYM_CHRG_003", "SYM_BATT_001"]}))
    assert ("SYM_BATT_001", "indicates", card.id) in await living()
    assert (await one("SYM_CHRG_003", card.id)).weight == pytest.approx((4 * 0.5 + 1) / 5, abs=0.01)


async def test_a_deprecated_card_leaves_the_graph_but_for_the_way_to_its_successor():
    old, new = await a_linked_card(), await stored_card()
    await in_transaction(lambda: graph_edges.relate_similar(old, {new.id: 0.9}))
    gone = await update(old, {"status": "deprecated", "successor_id": new.id})
    for _ in range(2):
        await link(gone)
        assert await living() == {(old.id, "similar_to", new.id)}
    await in_transaction(lambda: graph_edges.relate_similar(new, {}))
    assert (old.id, "similar_to", new.id) in await living()
    # A repair by it that is heard of later is kept, and brings nothing back.
    await repaired(await a_ticket(symptom_codes=["SYM_CHRG_003"]), CardUse(old.id, worked=True))
    assert await living() == {(old.id, "similar_to", new.id)}
    assert (await one("SYM_CHRG_003", old.id)).evidence_count == 1


async def test_hand_made_edges_survive_an_edit():
    card = await a_linked_card()
    content = (await one(card.id, "F-12", "requires")).model_dump(include=set(relations.RelationContent.model_fields))
    by_hand = await relations.create(relations.RelationContent(**content | {"target_id": "F-99"}))
    await link(await update(card, {"required_parts": []}))
    assert (await relations.get(by_hand.id)).ended_at is None


async def test_a_repair_that_worked_confirms_and_adds_edges():
    card = await a_linked_card()
    ticket = await a_ticket(symptom_codes=["SYM_CHRG_003", "SYM_NEW_001"])
    use = CardUse(card.id, worked=True, parts=[("Fuse", "F-12"), ("Cable lug", "")])
    for _ in range(2):
        await repaired(ticket, use)
    shown = await living()
    assert {
        (card.id, "causes", "SYM_CHRG_003"),
        ("SYM_NEW_001", "indicates", card.id),
        ("cable lug", "resolves", card.id),
        (card.id, "requires", "cable lug"),
    } <= shown
    stated, new = await one("SYM_CHRG_003", card.id), await one("SYM_NEW_001", card.id)
    assert stated.evidence_count == new.evidence_count == 1
    assert stated.weight == pytest.approx((4 * APPROVED_WEIGHT + 1) / 5, abs=0.01)
    assert (new.stated, new.weight) == (False, pytest.approx((4 * UNSTATED_WEIGHT + 1) / 5, abs=0.01))
    for source, target, relation in (
        (card.id, "bms", "affects"),
        ("ather|450x", card.id, "has_failure"),
        ("F-12", card.id, "resolves"),
    ):
        assert (await one(source, target, relation)).evidence_count == 1


async def test_a_repair_that_failed_speaks_against_what_led_there():
    card = await a_linked_card()
    ticket = await a_ticket(symptom_codes=["SYM_CHRG_003", "SYM_NEW_001"])
    before = await living()
    await repaired(ticket, CardUse(card.id, worked=False, parts=[("Fuse", "F-12")]))
    assert await living() == before
    led = await one("SYM_CHRG_003", card.id)
    assert (led.evidence_count, led.counter_count) == (0, 1)
    assert led.weight == pytest.approx(4 * APPROVED_WEIGHT / 5, abs=0.01)
    assert (await one("ather|450x", card.id, "has_failure")).counter_count == 1
    assert (await one(card.id, "F-12", "requires")).counter_count == 0


async def test_a_revisit_takes_back_once():
    card = await a_linked_card()
    ticket = await a_ticket(symptom_codes=["SYM_CHRG_003"])
    await repaired(ticket, CardUse(card.id, worked=True))
    for expected in (4, 0):  # indicates, causes, has_failure, affects
        assert await in_transaction(lambda: graph_edges.take_back(ticket.id, 1)) == expected
    edge = await one("SYM_CHRG_003", card.id)
    assert (edge.evidence_count, edge.counter_count) == (0, 1)
    assert edge.weight == pytest.approx(4 * APPROVED_WEIGHT / 5, abs=0.01)
    assert await in_transaction(lambda: graph_edges.take_back(ticket.id, 2)) == 0


async def test_ruling_a_card_out_weakens_what_pointed_to_it():
    card, other = await a_linked_card(), await a_linked_card()
    ticket = await a_ticket(symptom_codes=["SYM_BATT_001", "SYM_NEW_001"])
    doubted = await in_transaction(lambda: graph_edges.doubt(ticket, [card.id, "fc_gone"], clock.now()))
    assert doubted == 2
    assert (await one("SYM_BATT_001", card.id)).counter_count == 1
    assert (await one("SYM_BATT_001", other.id)).counter_count == 0


async def test_near_duplicates_are_related_as_long_as_they_are_alike():
    card, twin, third = [await stored_card() for _ in range(3)]
    await in_transaction(lambda: graph_edges.relate_similar(twin, {card.id: 0.9}))
    await in_transaction(lambda: graph_edges.relate_similar(card, {twin.id: 0.8, third.id: 0.6}))
    edge = await one(card.id, twin.id, "similar_to")
    assert (edge.weight, edge.bidirectional) == (pytest.approx(0.8), True)
    await in_transaction(lambda: graph_edges.relate_similar(card, {third.id: 0.6}))
    assert await living() == {(card.id, "similar_to", third.id)}


async def test_a_merge_carries_on_what_both_cards_have_learnt():
    former, kept = await a_linked_card(), await a_linked_card(symptom_codes=["SYM_CHRG_003"], symptoms=[])
    seen = await a_ticket(symptom_codes=["SYM_CHRG_003", "SYM_BATT_001"])
    await repaired(seen, CardUse(former.id, worked=True))
    await repaired(await a_ticket(symptom_codes=["SYM_CHRG_003"]), CardUse(kept.id, worked=True))
    await in_transaction(lambda: graph_edges.relate_similar(kept, {former.id: 0.9}))
    for _ in range(2):
        await in_transaction(lambda: graph_edges.take_over(former.id, kept))
        assert all(former.id not in (source, target) for source, _, target in await living())
        both, own = await one("SYM_CHRG_003", kept.id), await one("SYM_BATT_001", kept.id)
        assert (both.evidence_count, both.stated) == (2, True)
        assert both.weight == pytest.approx((4 * APPROVED_WEIGHT + 2) / 6, abs=0.01)
        assert (own.evidence_count, own.stated) == (1, False)
    # What was given to the former card is taken back, and ruled out, where it stands today.
    await update(former, {"status": "deprecated", "merged_into": kept.id})
    assert await in_transaction(lambda: graph_edges.take_back(seen.id, 1)) == 6
    assert (await one("SYM_CHRG_003", kept.id)).counter_count == 1
    assert await in_transaction(lambda: graph_edges.doubt(seen, [former.id], clock.now())) == 3
    assert (await one("SYM_BATT_001", kept.id)).counter_count == 2
