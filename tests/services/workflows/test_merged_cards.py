"""Two cards become one: what repairs taught, what is under way, and what follows counts for the survivor, once."""

import pytest

from app.security import acting_as, system
from models.enums import FailureCardStatus, ResolutionOutcome, ReviewStatus
from models.event import EfiEvent, EventType
from models.failure_card import FailureCard, Review
from models.learning import CardEvidence, CardOutcome
from models.notification import Notification
from models.technician_action import RejectedHypothesis
from services.diagnosis import matches
from services.diagnosis.guided import sessions
from services.knowledge import confidence, merging
from tests.services.workflows.conftest import DISCOVERY, Workshop

FAILED, SUCCESS = ResolutionOutcome.failed, ResolutionOutcome.success
VEHICLE = {"vehicle_make": "Ather", "vehicle_model": "450X", "vehicle_year": 2023}


async def repair(workshop: Workshop, *cards: tuple[FailureCard, ResolutionOutcome]) -> str:
    """A ticket repaired by these cards one after another, resolved and weighed."""
    ticket = await workshop.ticket(**VEHICLE)
    for card, outcome in cards:
        await workshop.action(ticket, failure_card_used=card.id, resolution_outcome=outcome)
    await workshop.resolve(ticket)
    await workshop.settle()
    return ticket.id


async def merged(workshop: Workshop, card: FailureCard, into: FailureCard) -> FailureCard:
    with acting_as(workshop.expert):
        kept = await merging.merge(await workshop.fresh(card), into.id, reason="one failure, written twice")
    await workshop.settle()
    return kept


async def figures(workshop: Workshop, card: FailureCard) -> tuple[int, int, int]:
    fresh = await workshop.fresh(card)
    return fresh.usage_count, fresh.success_count, fresh.failure_count


async def evidence(card: FailureCard) -> CardEvidence:
    with acting_as(system("test")):
        row = await CardEvidence.find_one({"_id": f"{card.id}|ather|450x|2023"})
    assert row is not None
    return row


async def test_outcomes_of_both_add_up(workshop: Workshop, seeing: None):
    kept, retired = await workshop.approved_card("Balancing board fails"), await workshop.approved_card("Board fails")
    for outcome in (SUCCESS, SUCCESS, FAILED):
        await repair(workshop, (retired, outcome))
    await repair(workshop, (kept, SUCCESS))
    await merged(workshop, retired, kept)
    assert await figures(workshop, kept) == (4, 3, 1)
    fresh = await workshop.fresh(kept)
    assert fresh.confidence_score == pytest.approx(0.5 + 3 * 0.01 - 0.02)
    assert fresh.confidence_history[-1].change_reason.startswith(f"{retired.id} was merged into this card")
    assert fresh.evidence_n == pytest.approx(4, rel=1e-4)
    row = await evidence(kept)
    assert (row.outcomes, row.successes, row.failures) == (4, pytest.approx(3), pytest.approx(1))
    with acting_as(system("test")):
        everywhere, _ = await confidence.evidence_of(kept.id)
    assert (everywhere.outcomes, round(everywhere.fix_rate.n)) == (4, 4)
    assert await figures(workshop, retired) == (3, 2, 1), "what it was stays readable"


@pytest.mark.parametrize("retire_first", [True, False])
async def test_one_passage_counts_once_by_its_last_repair(workshop: Workshop, seeing: None, retire_first: bool):
    first, second = await workshop.approved_card("Board fails"), await workshop.approved_card("Balancing board fails")
    await repair(workshop, (first, FAILED), (second, SUCCESS))
    kept, retired = (second, first) if retire_first else (first, second)
    await merged(workshop, retired, kept)
    assert await figures(workshop, kept) == (1, 1, 0)
    fresh = await workshop.fresh(kept)
    assert fresh.confidence_score == pytest.approx(0.51)
    row = await evidence(kept)
    assert (row.outcomes, row.successes, row.failures) == (1, pytest.approx(1), pytest.approx(0))
    with acting_as(system("test")):
        counted = [one.card_id async for one in CardOutcome.find() if one.superseded_at is None]
    assert counted == [second.id]


async def test_a_revisit_takes_back_what_counts_and_nothing_else(workshop: Workshop, seeing: None):
    first, second = await workshop.approved_card("Board fails"), await workshop.approved_card("Balancing board fails")
    ticket_id = await repair(workshop, (first, SUCCESS), (second, SUCCESS))
    await merged(workshop, second, first)
    assert await figures(workshop, first) == (1, 1, 0)
    with acting_as(workshop.technician):
        ticket = await workshop.fresh(await matches.Ticket.get(ticket_id))
    await workshop.reopen(ticket)
    await workshop.settle()
    assert await figures(workshop, first) == (1, 0, 1)
    assert (await workshop.fresh(first)).confidence_score == pytest.approx(0.48)
    assert await figures(workshop, second) == (1, 1, 0)


async def test_work_under_way_counts_for_the_survivor(workshop: Workshop, seeing: None):
    kept, retired = await workshop.approved_card("Balancing board fails"), await workshop.approved_card("Board fails")
    other = await workshop.approved_card("Fuse blown")
    ticket = await workshop.ticket(**VEHICLE)
    await workshop.action(
        ticket,
        failure_card_used=retired.id,
        failure_card_accuracy_rating=4,
        rejected_hypotheses=[RejectedHypothesis(hypothesis="fuse", card_id=other.id, reason_rejected="intact")],
    )
    ruled_out = await workshop.ticket(**VEHICLE)
    no = [RejectedHypothesis(hypothesis=c.title, card_id=c.id, reason_rejected="no") for c in (kept, retired)]
    await workshop.action(ruled_out, rejected_hypotheses=no)
    with acting_as(workshop.expert):
        await merging.merge(retired, kept.id, reason="one failure, written twice")
    await workshop.resolve(ticket)
    await workshop.settle()
    fresh = await workshop.fresh(kept)
    assert (fresh.usage_count, fresh.success_count, fresh.ratings_count, fresh.ratings_sum) == (1, 1, 1, 4)
    assert fresh.rejected_count == 1, "one card was ruled out, under both of its names"
    assert await figures(workshop, retired) == (0, 0, 0)
    assert (await workshop.fresh(ticket)).selected_failure_card == retired.id


async def test_a_merged_card_is_merged_on(workshop: Workshop, seeing: None):
    cards = [await workshop.approved_card(f"Balancing board fails {n}") for n in range(3)]
    for card in cards:
        await repair(workshop, (card, SUCCESS))
    await merged(workshop, cards[0], cards[1])
    await merged(workshop, cards[1], cards[2])
    assert await figures(workshop, cards[2]) == (3, 3, 0)
    assert (await workshop.fresh(cards[0])).merged_into == cards[2].id
    assert (await workshop.fresh(cards[2])).merged_from == [cards[1].id, cards[0].id]
    await repair(workshop, (cards[0], SUCCESS), (cards[1], FAILED))
    assert await figures(workshop, cards[2]) == (4, 3, 1), "one card used twice in one passage"


async def test_matching_forgets_it_and_a_diagnosis_goes_on(workshop: Workshop, seeing: None):
    kept = await workshop.approved_card("Does not charge beyond 80 %", symptom_text="Does not charge beyond 80 %")
    retired = await workshop.approved_card("Stops charging at 80 %", symptom_text="Does not charge beyond 80 %")
    ticket = await workshop.ticket(**VEHICLE)
    await workshop.settle()
    with acting_as(workshop.technician):
        session = await sessions.start(ticket.id)
    assert {one.card_id for one in session.candidates} >= {kept.id, retired.id}
    await merged(workshop, retired, kept)
    with acting_as(workshop.technician):
        going_on = await sessions.repaired(session, retired.id, worked=True)
        assert going_on.proposal.card_id == retired.id
        again = await matches.match_ticket(ticket)
    assert [one.card_id for one in again.result.candidates] == [kept.id]


async def test_a_discovery_that_is_known_says_so_and_its_review_ends_with_the_merge(workshop: Workshop, seeing: None):
    known = await workshop.approved_card(
        "Charging port latch sensor corroded by water",
        root_cause="Water ingress through a cracked gasket corrodes the latch sensor.",
        symptom_text="The latch sensor reads open though the plug is locked.",
    )
    ticket = await workshop.ticket("Charging port latch reads open", **VEHICLE)
    await workshop.action(ticket, **DISCOVERY)
    await workshop.settle()
    with acting_as(workshop.expert):
        review = await Review.find_one({"open": True})
        assert review is not None
        assert known.id in review.comments[0].text
        assert review.comments[0].author.id == "agent:discovery"
        draft = await FailureCard.get(review.card_id)
        kept = await merging.merge(draft, known.id, reason="known", take=["vehicle_models", "required_parts"])
    await workshop.settle()
    assert [(one.make, one.model) for one in kept.vehicle_models] == [("Ather", "450X")]
    assert kept.version == known.version + 1
    assert kept.version_history[-1].summary == "known"
    closed, draft = await workshop.fresh(review), await workshop.fresh(draft)
    assert (closed.status, closed.open) == (ReviewStatus.withdrawn, False)
    assert (draft.status, draft.merged_into, draft.successor_id) == (FailureCardStatus.deprecated, known.id, known.id)
    with acting_as(system("test")):
        told = await Notification.find({"user_id": workshop.technician.id}).to_list()
        events = await EfiEvent.find({"data.card_id": {"$in": [draft.id, known.id]}}).sort("_id").to_list()
    assert f"Merged: {draft.title}" in [one.subject for one in told]
    last = [(one.event_type, one.data.get("merged_from"), one.data.get("merged_into")) for one in events[-2:]]
    assert last == [
        (EventType.card_updated, draft.id, None),
        (EventType.card_deprecated, None, known.id),
    ]
