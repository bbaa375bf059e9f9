from datetime import timedelta

import pytest

from app import clock
from app.database import in_transaction
from models.failure_card import FailureCard
from services.knowledge import confidence, reports
from tests.services.knowledge.samples import a_ticket, stored_card

pytestmark = pytest.mark.usefixtures("as_system")


async def learn(card: FailureCard, *outcomes: bool, days_ago: int = 0) -> None:
    for success in outcomes:
        ticket = await a_ticket()
        await in_transaction(
            lambda ticket=ticket, success=success: confidence.record_outcome(
                card.id, ticket, 1, [], success, "x", clock.now() - timedelta(days=days_ago), "evt_1"
            )
        )


async def test_an_empty_library_has_an_empty_report():
    report = await reports.confidence_report()
    assert [(group.level, group.cards, group.fix_rate) for group in report.by_level] == [
        ("verified", 0, None),
        ("high", 0, None),
        ("medium", 0, None),
        ("low", 0, None),
    ]
    assert report.by_subsystem == report.by_vehicle == report.gained == report.weak == report.falling == []
    assert (report.never_used, report.never_used_count) == ([], 0)


async def test_groups_count_approved_cards():
    used = await stored_card(confidence_score=0.8, confidence_level="high")
    await stored_card(confidence_score=0.6, subsystem_category="motor")
    await stored_card(status="draft")
    await learn(used, True, True, False, True)

    report = await reports.confidence_report()

    levels = {group.level.value: group for group in report.by_level}
    assert (levels["high"].cards, levels["high"].uses, levels["high"].fix_rate) == (1, 4, 0.75)
    assert (levels["medium"].cards, levels["medium"].never_used) == (1, 1)
    assert [(group.subsystem_category, group.cards) for group in report.by_subsystem] == [("bms", 1), ("motor", 1)]
    assert report.by_subsystem[1].mean_confidence == pytest.approx(0.6)


async def test_a_card_counts_once_for_a_vehicle():
    years = [{"make": "Ather", "model": "450X", "year_from": year} for year in (2021, 2022)]
    await stored_card(vehicle_models=[*years, {"make": "Ola", "model": "S1"}])
    await stored_card(vehicle_models=years)
    await stored_card(vehicle_models=[])
    vehicles = (await reports.confidence_report()).by_vehicle
    assert [(group.make, group.model, group.cards) for group in vehicles] == [("Ather", "450X", 2), ("Ola", "S1", 1)]


async def test_movers_are_ordered_by_how_far_they_moved():
    up, far_up, down, still = [await stored_card() for _ in range(4)]
    await learn(up, True)
    await learn(far_up, True, True, True)
    await learn(down, False)
    await learn(still, True, True, False)
    report = await reports.confidence_report(days=7)
    assert [(mover.failure_id, mover.change, mover.outcomes) for mover in report.gained] == [
        (far_up.id, 0.03, 3),
        (up.id, 0.01, 1),
    ]
    assert [(mover.failure_id, mover.change, mover.confidence_score) for mover in report.lost] == [
        (down.id, -0.02, 0.48)
    ]


async def test_weak_cards_are_those_with_poor_evidence():
    poor, good, thin = [await stored_card() for _ in range(3)]
    await learn(poor, False, False, False, False)
    await learn(good, *[True] * 12)
    await learn(thin, False)
    weak = (await reports.confidence_report(threshold=0.6)).weak
    assert [line.failure_id for line in weak] == [poor.id]
    assert weak[0].evidence_low < 0.1


async def test_falling_cards_worked_better_before():
    falling, steady = await stored_card(), await stored_card()
    await learn(falling, True, True, True, True, days_ago=40)
    await learn(falling, True, False, False, days_ago=3)
    await learn(steady, True, True, True, days_ago=40)
    await learn(steady, True, True, True, days_ago=3)
    [found] = (await reports.confidence_report(days=30)).falling
    assert (found.failure_id, found.earlier_rate, found.earlier_outcomes) == (falling.id, 1.0, 4)
    assert (found.recent_rate, found.recent_outcomes) == (pytest.approx(1 / 3), 3)


async def test_what_was_taken_back_counts_as_failed():
    card = await stored_card()
    await learn(card, True, True, True, days_ago=40)
    for _ in range(3):
        ticket = await a_ticket()
        await in_transaction(
            lambda ticket=ticket: confidence.record_outcome(card.id, ticket, 1, [], True, "x", clock.now(), "evt_1")
        )
        await in_transaction(lambda ticket=ticket: confidence.take_back(ticket.id, 1, "came back", "evt_2"))
    [found] = (await reports.confidence_report(days=30)).falling
    assert found.recent_rate == 0


async def test_unused_cards_are_counted_and_the_oldest_listed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reports, "LISTED", 2)
    unused = [await stored_card() for _ in range(3)]
    await learn(await stored_card(), True)
    await stored_card(status="deprecated")
    report = await reports.confidence_report()
    assert report.never_used_count == 3
    assert [line.failure_id for line in report.never_used] == [card.id for card in unused[:2]]
