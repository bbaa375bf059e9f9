import asyncio
import random
from datetime import timedelta
from itertools import pairwise

import pytest

from app import clock
from app.database import DeclaredRights, guard, in_transaction
from app.errors import Forbidden
from app.security import acting_as, agent
from models.event import EventType
from models.failure_card import ConfidenceChange, FailureCard
from models.learning import CardEvidence, CardOutcome
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.knowledge import changes, confidence, evidence_rows
from tests.services.knowledge.samples import a_ticket, events_of, stored_card

pytestmark = pytest.mark.usefixtures("as_system")

EVENT = "evt_1"


async def outcome(
    card: FailureCard, ticket: Ticket, success: bool, *, round_: int = 1, days_ago: int = 0
) -> ConfidenceChange | None:
    return await in_transaction(
        lambda: confidence.record_outcome(
            card.id,
            ticket,
            round_,
            ["act_1"],
            success,
            "resolved" if success else "not resolved",
            clock.now() - timedelta(days=days_ago),
            EVENT,
        )
    )


async def revisit(ticket: Ticket, round_: int = 1) -> list[ConfidenceChange]:
    return await in_transaction(lambda: confidence.take_back(ticket.id, round_, "came back", "evt_2"))


async def fresh(card: FailureCard) -> FailureCard:
    found = await FailureCard.find_one({"_id": card.id})
    assert found is not None
    return found


def counts(card: FailureCard) -> tuple[int, int, int]:
    return card.usage_count, card.success_count, card.failure_count


async def test_a_success_moves_everything_that_depends_on_it():
    card, ticket = await stored_card(confidence_score=0.69), await a_ticket(site_id="site_1")

    change = await outcome(card, ticket, True)

    assert change is not None
    assert (change.previous_score, change.new_score, change.ticket_id, change.event_id) == (0.69, 0.7, ticket.id, EVENT)
    learned = await fresh(card)
    assert counts(learned) == (1, 1, 0)
    assert (learned.confidence_score, learned.confidence_level) == (0.7, "high")
    assert learned.effectiveness_score == pytest.approx(1.01)
    assert learned.evidence_mean == pytest.approx(2 / 3)
    assert 0 < learned.evidence_low < learned.evidence_mean < learned.evidence_high < 1
    assert learned.evidence_n == pytest.approx(1)
    assert learned.last_used_at is not None
    assert learned.confidence_history == [change]
    assert (learned.edition, learned.revision) == (card.edition, card.revision + 1)
    [event] = await events_of(EventType.confidence_updated)
    assert (event.subject_id, event.data["new_score"], event.site_id) == (card.id, 0.7, "site_1")
    [event] = await events_of(EventType.effectiveness_recalculated)
    assert event.data["success_count"] == 1


async def test_a_failure_costs_twice_a_success():
    card = await stored_card(confidence_score=0.41)
    await outcome(card, await a_ticket(), False)
    learned = await fresh(card)
    assert (learned.confidence_score, learned.confidence_level) == (0.39, "low")
    assert counts(learned) == (1, 0, 1)


async def test_a_passage_counts_once():
    card, ticket = await stored_card(), await a_ticket()
    await outcome(card, ticket, True)
    assert await outcome(card, ticket, True) is None
    assert await outcome(card, ticket, False) is None
    assert counts(await fresh(card)) == (1, 1, 0)
    assert await outcome(card, ticket, True, round_=2) is not None


async def test_an_unknown_card_teaches_nothing():
    card = await stored_card()
    await FailureCard.get_pymongo_collection().delete_one({"_id": card.id})
    assert await outcome(card, await a_ticket(), True) is None
    assert await CardOutcome.find_all().count() == 0


async def test_concurrent_resolutions_lose_nothing():
    card = await stored_card(confidence_score=0.5)
    tickets = [await a_ticket() for _ in range(12)]
    wins = [number % 3 > 0 for number in range(12)]

    await asyncio.gather(*(outcome(card, ticket, win) for ticket, win in zip(tickets, wins, strict=True)))

    learned = await fresh(card)
    assert counts(learned) == (12, 8, 4)
    assert learned.confidence_score == pytest.approx(0.5)
    assert learned.evidence_n == pytest.approx(12, rel=1e-6)
    assert len(learned.confidence_history) == 12
    chain = learned.confidence_history
    assert all(earlier.new_score == later.previous_score for earlier, later in pairwise(chain))
    assert len(await events_of(EventType.confidence_updated)) == 12


async def test_the_same_outcome_reported_at_once_counts_once():
    card, ticket = await stored_card(), await a_ticket()
    reports = await asyncio.gather(*(outcome(card, ticket, True) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(report, ConfidenceChange) for report in reports) == 1
    assert [report for report in reports if isinstance(report, BaseException)] == []
    assert counts(await fresh(card)) == (1, 1, 0)


async def test_a_revisit_turns_success_into_failure():
    card, ticket = await stored_card(confidence_score=0.5), await a_ticket()
    twin = await stored_card(confidence_score=0.5)
    await outcome(card, ticket, True, days_ago=10)
    await outcome(twin, ticket, False, days_ago=10)

    [change] = await revisit(ticket)

    assert (change.previous_score, change.new_score, change.change_reason) == (0.51, 0.48, "came back")
    learned, failed = await fresh(card), await fresh(twin)
    assert counts(learned) == counts(failed) == (1, 0, 1)
    assert learned.confidence_score == failed.confidence_score
    assert learned.effectiveness_score == failed.effectiveness_score
    assert learned.evidence_mean == pytest.approx(failed.evidence_mean)
    assert len(learned.confidence_history) == 2
    assert await revisit(ticket) == []
    assert await revisit(ticket, round_=2) == []


async def test_taking_back_at_the_wall_undoes_only_what_was_given():
    card, ticket = await stored_card(confidence_score=1.0), await a_ticket()
    await outcome(card, ticket, True)
    [change] = await revisit(ticket)
    assert change.new_score == 0.98


async def test_order_of_replay_does_not_matter():
    history = [(days, win) for days, win in zip(range(0, 400, 40), [True, True, False] * 4, strict=False)]
    ends = []
    for seed in range(3):
        card = await stored_card()
        for days, win in random.Random(seed).sample(history, len(history)):
            await outcome(card, await a_ticket(), win, days_ago=days)
        ends.append(await fresh(card))
    first = ends[0]
    for other in ends[1:]:
        assert counts(other) == counts(first)
        assert other.confidence_score == first.confidence_score
        assert other.evidence_low == pytest.approx(first.evidence_low, rel=1e-6)
        assert other.last_used_at is not None
        assert abs(other.last_used_at - first.last_used_at) < timedelta(minutes=1)


async def test_old_outcomes_fade():
    recent, old = await stored_card(), await stored_card()
    await outcome(recent, await a_ticket(), True)
    await outcome(old, await a_ticket(), True, days_ago=365)
    assert (await fresh(recent)).evidence_n == pytest.approx(1)
    assert (await fresh(old)).evidence_n == pytest.approx(0.5, rel=1e-3)


async def test_the_half_life_can_be_set():
    card = await stored_card()
    evidence_rows.configure(half_life_days=10)
    try:
        await outcome(card, await a_ticket(), True, days_ago=20)
    finally:
        evidence_rows.configure(half_life_days=365)
    assert (await fresh(card)).evidence_n == pytest.approx(0.25, rel=1e-3)


async def test_history_on_the_card_is_bounded():
    card = await stored_card(
        confidence_history=[
            ConfidenceChange(timestamp=clock.now(), previous_score=0.5, new_score=0.5, change_reason=str(number))
            for number in range(confidence.HISTORY_KEPT)
        ]
    )
    await outcome(card, await a_ticket(), True)
    kept = (await fresh(card)).confidence_history
    assert len(kept) == confidence.HISTORY_KEPT
    assert (kept[0].change_reason, kept[-1].change_reason) == ("1", "resolved")


async def test_evidence_is_kept_by_variant_and_shrunk_to_the_card():
    card = await stored_card()
    for _ in range(6):
        await outcome(card, await a_ticket(vehicle_model="450X"), True)
    await outcome(card, await a_ticket(vehicle_model="Rizta"), False)

    pooled, variants = await confidence.evidence_of(card.id)

    assert (pooled.variant, pooled.outcomes, pooled.fix_rate.mean) == ("*", 7, pytest.approx(7 / 9, rel=1e-6))
    assert [(found.variant, found.outcomes) for found in variants] == [("ather|450x|2023", 6), ("ather|rizta|2023", 1)]
    assert variants[0].fix_rate.mean > pooled.fix_rate.mean > variants[1].fix_rate.mean > 0.5


async def test_a_card_without_outcomes_has_the_uniform_prior():
    card = await stored_card()
    pooled, variants = await confidence.evidence_of(card.id)
    assert variants == []
    assert (pooled.fix_rate.mean, pooled.fix_rate.low) == (card.evidence_mean, pytest.approx(card.evidence_low))


async def test_rejections_count_by_variant_and_spare_the_score():
    ruled_out, used, ticket = await stored_card(), await stored_card(), await a_ticket()
    action = TechnicianAction(
        ticket_id=ticket.id,
        technician_id="usr_1",
        resolution_outcome="success",
        failure_card_used=used.id,
        rejected_hypotheses=[
            {"hypothesis": "fuse", "reason_rejected": "intact"},
            {"hypothesis": "balancing", "card_id": ruled_out.id, "reason_rejected": "cells even"},
            {"hypothesis": "balancing again", "card_id": ruled_out.id, "reason_rejected": "still even"},
            {"hypothesis": "first thought", "card_id": used.id, "reason_rejected": "came back to it"},
            {"hypothesis": "gone", "card_id": "fc_gone", "reason_rejected": "no such card"},
        ],
    )

    told: list[frozenset[str]] = []
    changes.on_changed(told.append)
    try:
        assert await in_transaction(lambda: confidence.record_rejections(action, ticket)) == [ruled_out.id]
    finally:
        changes.forget(told.append)

    assert told == [frozenset({ruled_out.id})]
    learned = await fresh(ruled_out)
    assert (learned.rejected_count, learned.usage_count) == (1, 0)
    assert learned.confidence_score == ruled_out.confidence_score
    pooled, [variant] = await confidence.evidence_of(ruled_out.id)
    assert variant.rejections == pytest.approx(1, rel=1e-6)
    assert variant.acceptance.mean == pytest.approx(1 / 3, rel=1e-6)
    assert pooled.fix_rate.mean == 0.5
    assert (await fresh(used)).rejected_count == 0


async def test_ratings_add_up_under_concurrency():
    card = await stored_card()
    await asyncio.gather(
        *(in_transaction(lambda rating=rating: confidence.record_rating(card.id, rating)) for rating in (5, 4, 3, 1))
    )
    learned = await fresh(card)
    assert (learned.ratings_count, learned.ratings_sum) == (4, 13)


async def test_nothing_is_told_of_a_transaction_that_failed():
    card, ticket = await stored_card(), await a_ticket()
    told: list[frozenset[str]] = []

    async def fails() -> None:
        await confidence.record_outcome(card.id, ticket, 1, [], True, "resolved", clock.now(), EVENT)
        raise KeyError

    changes.on_changed(told.append)
    try:
        with pytest.raises(KeyError):
            await in_transaction(fails)
    finally:
        changes.forget(told.append)
    assert told == []
    assert counts(await fresh(card)) == (0, 0, 0)
    assert await CardEvidence.find_all().count() == 0


async def test_shared_reads_see_what_was_stored_before_them_and_give_each_their_own():
    cards = [await stored_card() for _ in range(4)]

    async def repaired(card: FailureCard, times: int) -> float:
        for _ in range(times):
            await outcome(card, await a_ticket(), True)
        return (await confidence.evidence_on([card.id], "|"))[card.id].fix_rate.mean

    with evidence_rows.reads_shared():
        shared = await asyncio.gather(*(repaired(card, times) for times, card in enumerate(cards)))
    assert shared == sorted(set(shared))
    for card, mean in zip(cards, shared, strict=True):
        assert (await confidence.evidence_on([card.id], "|"))[card.id].fix_rate.mean == pytest.approx(mean, rel=1e-6)


async def test_an_agent_without_the_right_shares_no_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "policy", DeclaredRights({}))
    with evidence_rows.reads_shared(), acting_as(agent("curious")), pytest.raises(Forbidden):
        await confidence.evidence_on(["fc_1"], "|")
