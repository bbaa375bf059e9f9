"""The knowledge graph follows the events of cards and repairs."""

import itertools

import pytest

from models.enums import EventStatus
from models.event import EfiEvent
from models.failure_card import FailureCard
from models.knowledge_relation import GraphObservation, KnowledgeRelation
from models.technician_action import RejectedHypothesis
from models.ticket import Ticket
from services.knowledge import lifecycle
from tests.services.workflows.conftest import Workshop

pytestmark = pytest.mark.usefixtures("seeing")


async def indicates(card: FailureCard) -> KnowledgeRelation:
    found = await KnowledgeRelation.find_one(
        {"source_id": "SYM_CHRG_001", "target_id": card.id, "relation_type": "indicates"}
    )
    assert found is not None
    return found


async def a_repair(workshop: Workshop, card: FailureCard, **resolution: object) -> Ticket:
    ticket = await workshop.ticket("Stops charging after ten minutes")
    await workshop.settle()
    await workshop.action(ticket, failure_card_used=card.id)
    return await workshop.resolve(ticket, **resolution)


async def test_a_card_without_a_symptom_learns_it_and_a_revisit_unlearns_it(workshop: Workshop):
    card = await workshop.approved_card()
    ticket = await a_repair(workshop, card)
    await workshop.settle()
    learnt = await indicates(card)
    assert (learnt.evidence_count, learnt.counter_count, learnt.stated) == (1, 0, False)
    await workshop.reopen(ticket)
    await workshop.settle()
    unlearnt = await indicates(card)
    assert (unlearnt.evidence_count, unlearnt.counter_count) == (0, 1)
    assert unlearnt.weight < learnt.weight


async def test_the_order_of_resolution_and_revisit_does_not_matter(workshop: Workshop):
    outcomes = set()
    for order in itertools.permutations(range(3)):
        card = await workshop.approved_card(symptom_codes=["SYM_CHRG_001"])
        ticket = await workshop.ticket("Stops charging after ten minutes")
        await workshop.settle()
        await workshop.action(ticket, failure_card_used=card.id)
        await workshop.resolve(ticket)
        await workshop.reopen(ticket)
        await workshop.action(ticket, failure_card_used=card.id)
        await workshop.resolve(ticket, customer_satisfaction=5)
        waiting = {"status": EventStatus.pending}
        kinds = {"ticket.resolved", "ticket.in_progress"}
        events = [event async for event in EfiEvent.find(waiting).sort("_id") if event.event_type in kinds]
        events = [event for event in events if event.event_type == "ticket.resolved" or event.data["revisit"]]
        assert len(events) == 3
        for place in order:
            await workshop.processor._handle(events[place], {}, [])
        await EfiEvent.get_pymongo_collection().update_many({}, {"$set": {"status": EventStatus.processed}})
        edge = await indicates(card)
        outcomes.add((edge.evidence_count, edge.counter_count, round(edge.weight, 3)))
    assert outcomes == {(1, 1, 0.5)}


async def test_an_event_that_is_delivered_again_changes_nothing(workshop: Workshop):
    card = await workshop.approved_card(symptom_codes=["SYM_CHRG_001"])
    await a_repair(workshop, card)
    await workshop.settle()
    before = await indicates(card)
    await EfiEvent.get_pymongo_collection().update_many({}, {"$set": {"status": EventStatus.pending}})
    await workshop.settle()
    assert await indicates(card) == before
    assert await GraphObservation.find_all().count() == 1


async def test_rejected_and_failed_cards_lose_their_hold_on_the_symptom(workshop: Workshop):
    used = await workshop.approved_card("Used", symptom_codes=["SYM_CHRG_001"])
    rejected = await workshop.approved_card("Rejected", symptom_codes=["SYM_CHRG_001"])
    ticket = await workshop.ticket("Stops charging after ten minutes")
    await workshop.settle()
    ruled_out = RejectedHypothesis(hypothesis="fuse", card_id=rejected.id, reason_rejected="whole")
    await workshop.action(ticket, failure_card_used=used.id, rejected_hypotheses=[ruled_out])
    await workshop.resolve(ticket, customer_satisfaction=1)
    await workshop.settle()
    for card in (used, rejected):
        assert (await indicates(card)).counter_count == 1


async def test_near_duplicates_find_each_other_when_they_are_approved(workshop: Workshop):
    text = {
        "symptom_text": "Battery does not charge beyond 80 %",
        "root_cause": "Balancing resistor of a group is open",
    }
    first = await workshop.approved_card("Balancing circuit of the BMS fails", **text)
    await workshop.approved_card("Horn silent", symptom_text="No sound", root_cause="Relay stuck")
    await workshop.settle()
    second = await workshop.approved_card("BMS balancing circuit failure", **text)
    await workshop.settle()
    [edge] = await KnowledgeRelation.find({"relation_type": "similar_to"}).to_list()
    assert (edge.source_id, edge.target_id, edge.bidirectional) == (first.id, second.id, True)
    with_successor = await workshop.fresh(first)
    await lifecycle.deprecate(with_successor, "said better there", second.id)
    await workshop.settle()
    [edge] = await KnowledgeRelation.find({"relation_type": "similar_to"}).to_list()
    assert (edge.source_id, edge.target_id, edge.bidirectional, edge.ended_at) == (first.id, second.id, False, None)
    assert (await KnowledgeRelation.find({"source_id": first.id, "relation_type": "affects"}).to_list())[0].ended_at
