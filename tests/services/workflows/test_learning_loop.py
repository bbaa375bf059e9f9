"""The main job, end to end: ticket, suggestions, action, outcome, confidence; discovery, draft, review, match."""

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from app import clock
from models.enums import (
    EventStatus,
    ResolutionOutcome,
    SubsystemCategory,
)
from models.event import EfiEvent, EventType
from models.knowledge_relation import KnowledgeRelation
from models.learning import CardOutcome
from models.technician_action import ActionPart, RejectedHypothesis
from models.ticket import Ticket
from services.diagnosis import matches
from services.knowledge import confidence
from tests.services.workflows.conftest import Workshop

FAILED, PARTIAL, SUCCESS = ResolutionOutcome.failed, ResolutionOutcome.partial, ResolutionOutcome.success


async def test_a_new_ticket_is_given_the_known_failures(workshop: Workshop, seeing: None):
    card = await workshop.approved_card(symptom_text="Battery does not charge beyond 80 percent")
    await workshop.approved_card("Horn stays silent", subsystem_category=SubsystemCategory.low_voltage)
    ticket = await workshop.ticket("Scooter does not charge beyond 80 %", vehicle_make="Ather", vehicle_model="450X")
    await workshop.settle()
    matched = await workshop.fresh(ticket)
    assert matched.suggested_failure_cards[0] == card.id
    assert matched.ai_match_performed
    assert matched.ai_match_timestamp is not None
    assert matched.symptom_codes == ["SYM_CHRG_001"]
    assert matched.revision == ticket.revision, "a person's form must stay valid"
    log = await EfiEvent.find({"data.ticket_id": ticket.id}).sort("_id").to_list()
    assert [event.event_type for event in log] == [
        EventType.ticket_created,
        EventType.match_requested,
        EventType.match_completed,
    ]
    completed = log[-1]
    assert completed.data["suggestions"][0]["card_id"] == card.id
    assert (completed.actor.id, completed.cause) == ("agent:matching", log[0].id)
    assert completed.actor.on_behalf_of == workshop.technician.id


async def test_a_matcher_that_fails_is_seen_and_does_not_hold_up_the_ticket(
    workshop: Workshop, seeing: None, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: Any, **__: Any) -> None:
        raise FloatingPointError("no numbers today")

    monkeypatch.setattr(matches.serving().matcher, "match", fails)
    ticket = await workshop.ticket()
    await workshop.settle()
    assert not (await workshop.fresh(ticket)).ai_match_performed
    failed = await EfiEvent.find_one({"event_type": EventType.match_failed})
    assert failed is not None
    assert failed.data["reason"] == "FloatingPointError: no numbers today"


CASES = [
    # what was recorded about the repair, and whether the card gains by it
    ({}, {}, True),
    ({}, {"customer_satisfaction": 3}, True),
    ({}, {"customer_satisfaction": 2}, False),
    ({}, {"revisit_required": True}, False),
    ({}, {"resolution_successful": False}, False),
    ({"new_issue_found": True}, {}, False),
    ({"resolution_outcome": PARTIAL}, {}, False),
    ({"resolution_outcome": FAILED}, {}, False),
]


@pytest.mark.parametrize(("action", "resolution", "success"), CASES)
async def test_a_resolved_ticket_moves_the_card_by_the_specifications_rule(
    workshop: Workshop, seeing: None, action: dict[str, Any], resolution: dict[str, Any], success: bool
):
    card = await workshop.approved_card()
    ticket = await workshop.ticket()
    await workshop.action(ticket, failure_card_used=card.id, **action)
    await workshop.resolve(ticket, **resolution)
    await workshop.settle()
    learnt = await workshop.fresh(card)
    assert (learnt.usage_count, learnt.success_count, learnt.failure_count) == (1, int(success), int(not success))
    assert learnt.confidence_score == pytest.approx(0.51 if success else 0.48)
    assert learnt.effectiveness_score == pytest.approx(1.01 if success else 0.01)
    (change,) = learnt.confidence_history
    resolved = await EfiEvent.find_one({"event_type": EventType.ticket_resolved})
    assert resolved is not None
    assert (change.ticket_id, change.event_id) == (ticket.id, resolved.id)
    updated = await EfiEvent.find_one({"event_type": EventType.confidence_updated})
    assert updated is not None
    assert (updated.subject_id, updated.cause, updated.actor.id) == (card.id, resolved.id, "agent:learning")


async def test_every_card_used_in_a_passage_gets_the_outcome_of_its_last_action(workshop: Workshop, seeing: None):
    first, second, third = [await workshop.approved_card(f"Card {n}") for n in range(3)]
    ticket = await workshop.ticket()
    await workshop.action(ticket, failure_card_used=first.id, resolution_outcome=FAILED)
    await workshop.action(ticket, failure_card_used=second.id, resolution_outcome=PARTIAL)
    await workshop.action(ticket, failure_card_used=third.id, resolution_outcome=SUCCESS)
    last = await workshop.action(ticket, failure_card_used=second.id, resolution_outcome=SUCCESS)
    await workshop.resolve(ticket)
    await workshop.settle()
    outcomes = {outcome.card_id: outcome async for outcome in CardOutcome.find()}
    assert {card: outcome.success for card, outcome in outcomes.items()} == {
        first.id: False,
        second.id: True,
        third.id: True,
    }
    assert outcomes[second.id].action_ids[-1] == last.id
    assert len(outcomes[second.id].action_ids) == 2


async def test_a_ticket_resolved_without_a_card_teaches_nothing(workshop: Workshop, seeing: None):
    card = await workshop.approved_card()
    ticket = await workshop.ticket()
    await workshop.action(ticket)
    await workshop.resolve(ticket, selected_failure_card=card.id)
    await workshop.settle()
    assert await CardOutcome.find().count() == 0
    assert (await workshop.fresh(card)).usage_count == 0


async def test_a_revisit_within_the_return_window_takes_the_success_back(workshop: Workshop, seeing: None):
    card = await workshop.approved_card()
    ticket = await workshop.ticket()
    await workshop.action(ticket, failure_card_used=card.id)
    await workshop.resolve(ticket)
    await workshop.settle()
    await workshop.reopen(ticket)
    await workshop.settle()
    learnt = await workshop.fresh(card)
    assert (learnt.usage_count, learnt.success_count, learnt.failure_count) == (1, 0, 1)
    assert learnt.confidence_score == pytest.approx(0.48)
    # The second passage is a use of its own.
    await workshop.action(ticket, failure_card_used=card.id)
    await workshop.resolve(ticket)
    await workshop.settle()
    learnt = await workshop.fresh(card)
    assert (learnt.usage_count, learnt.success_count, learnt.failure_count) == (2, 1, 1)
    assert learnt.confidence_score == pytest.approx(0.49)


async def test_a_revisit_at_the_same_instant_is_not_overlooked(
    workshop: Workshop, seeing: None, monkeypatch: pytest.MonkeyPatch
):
    """The ticket is reopened, and the revisit handled, after the outcome was judged and before it is committed."""
    card = await workshop.approved_card()
    ticket = await workshop.ticket()
    await workshop.action(ticket, failure_card_used=card.id)
    await workshop.settle()
    await workshop.resolve(ticket)
    (resolved,) = await EfiEvent.find({"event_type": EventType.ticket_resolved}).to_list()
    judged, go_on = asyncio.Event(), asyncio.Event()
    record_outcome = confidence.record_outcome

    async def slowly(*args: Any) -> Any:
        judged.set()
        await go_on.wait()
        return await record_outcome(*args)

    monkeypatch.setattr(confidence, "record_outcome", slowly)
    weighing = asyncio.create_task(workshop.processor._handle(resolved, {}, []))
    await judged.wait()
    reopening = asyncio.create_task(workshop.reopen(ticket))
    await asyncio.wait({reopening}, timeout=0.1)
    async for revisit in EfiEvent.find({"data.revisit": True}):
        await workshop.processor._handle(revisit, {}, [])
    go_on.set()
    await asyncio.gather(weighing, reopening)
    await workshop.settle()
    learnt = await workshop.fresh(card)
    assert (learnt.usage_count, learnt.success_count, learnt.failure_count) == (1, 0, 1)


async def test_a_later_return_leaves_the_success_alone(workshop: Workshop, seeing: None):
    card = await workshop.approved_card()
    ticket = await workshop.ticket()
    await workshop.action(ticket, failure_card_used=card.id)
    await workshop.resolve(ticket)
    old = {"$set": {"resolved_at": clock.now() - timedelta(days=31)}}
    await Ticket.get_pymongo_collection().update_one({"_id": ticket.id}, old)
    await workshop.reopen(ticket)
    await workshop.settle()
    learnt = await workshop.fresh(card)
    assert (learnt.success_count, learnt.failure_count) == (1, 0)


async def test_what_is_learnt_does_not_depend_on_the_order_of_events(workshop: Workshop, seeing: None):
    """Resolved, reopened, resolved again: a late event, such as a replayed dead letter, changes nothing of the sum."""
    wanted = {"event_type": {"$in": [EventType.ticket_resolved, EventType.ticket_in_progress]}, "status": "pending"}
    sums = set()
    for order in permutations(range(3)):
        card = await workshop.approved_card(f"Card {order}")
        ticket = await workshop.ticket()
        await workshop.action(ticket, failure_card_used=card.id)
        await workshop.settle()
        await workshop.resolve(ticket, customer_satisfaction=5)
        await workshop.reopen(ticket)
        await workshop.action(ticket, failure_card_used=card.id)
        await workshop.resolve(ticket, customer_satisfaction=1)
        events = await EfiEvent.find(wanted).sort("_id").to_list()
        assert len(events) == 3
        for place in order:
            await workshop.processor._handle(events[place], {}, [])
        await EfiEvent.get_pymongo_collection().update_many({}, {"$set": {"status": EventStatus.processed}})
        learnt = await workshop.fresh(card)
        sums.add((learnt.usage_count, learnt.success_count, learnt.failure_count, learnt.confidence_score))
    assert sums == {(2, 0, 2, 0.46)}


async def test_a_repair_that_worked_strengthens_the_graph(workshop: Workshop, seeing: None):
    card = await workshop.approved_card()
    ticket = await workshop.ticket("Stops charging after ten minutes")
    await workshop.settle()
    await workshop.action(ticket, failure_card_used=card.id, parts_used=[ActionPart(part_name="BMS board")])
    await workshop.resolve(ticket)
    await workshop.settle()
    edges = {(e.source_id, e.relation_type, e.target_id) async for e in KnowledgeRelation.find({"evidence_count": 1})}
    assert edges == {
        ("SYM_CHRG_001", "indicates", card.id),
        (card.id, "causes", "SYM_CHRG_001"),
        (card.id, "requires", "bms board"),
        ("bms board", "resolves", card.id),
        (card.id, "affects", "bms"),
    }


async def test_rejected_cards_and_ratings_are_counted(workshop: Workshop, seeing: None):
    used, rejected = await workshop.approved_card("Used"), await workshop.approved_card("Rejected")
    ticket = await workshop.ticket()
    await workshop.action(
        ticket,
        failure_card_used=used.id,
        failure_card_accuracy_rating=4,
        rejected_hypotheses=[
            RejectedHypothesis(hypothesis="a blown fuse", card_id=rejected.id, reason_rejected="the fuse is whole")
        ],
    )
    await workshop.settle()
    assert (await workshop.fresh(rejected)).rejected_count == 1
    rated = await workshop.fresh(used)
    assert (rated.ratings_count, rated.ratings_sum, rated.rejected_count) == (1, 4, 0)
