"""What matches promised, beside what repairs decided."""

from datetime import timedelta
from typing import Any

import pytest

from app import clock
from app.database import connect, disconnect
from app.security import system
from models import ALL_DOCUMENTS
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, FailureCard
from models.match_run import AskedCase, AskedOptions, MatchRun, ShownCard
from models.record import ActorRef
from models.ticket import Ticket
from services.diagnosis import calibration
from services.knowledge import cards
from tests.query_plans import watched
from tests.services.diagnosis.training.simulated import WINDOW, action_on, outcome_of, resolved_ticket

pytestmark = pytest.mark.usefixtures("as_system")


async def card(title: str) -> FailureCard:
    kind = {"subsystem_category": SubsystemCategory.low_voltage, "failure_mode": FailureMode.erratic}
    return await cards.create(CardContent(title=title, **kind))


async def decided(card_id: str | None, shown: dict[str, float] | None, none: float | None = 0.1, **run: Any) -> Ticket:
    """A ticket that was shown these probabilities and repaired by this card, or by none."""
    ticket = await resolved_ticket("Horn is silent").insert()
    await action_on(ticket, card_id).insert()
    if card_id is not None:
        await outcome_of(ticket, card_id).insert()
    if shown is not None:
        await match_run(ticket, shown, none, **run).insert()
    return ticket


def match_run(ticket: Ticket, shown: dict[str, float], none: float | None, **fields: Any) -> MatchRun:
    candidates = [
        ShownCard(card_id=id_, card_version=1, title="x", score=value, probability=value, match_type="hybrid")
        for id_, value in shown.items()
    ]
    actor = system("test")
    return MatchRun(
        **{
            "actor": ActorRef(kind=actor.kind, id=actor.id, name=""),
            "ticket_id": ticket.id,
            "case": AskedCase(),
            "options": AskedOptions(scorer="calibrated", limit=5),
            "scorer_version": "prior",
            "index_size": 2,
            "candidates": candidates,
            "none_probability": none,
            "duration_ms": 1.0,
            "created_at": ticket.created_at,
            **fields,
        }
    )


async def test_without_decisions_it_says_so():
    found = await calibration.calibration(WINDOW)
    assert (found.decided, found.tickets, found.enough, found.since) == (0, 0, False, None)
    assert (found.shown.count, found.shown.bins, found.shown.ece, found.shown.brier) == (0, [], None, None)


async def test_holds_what_was_shown_against_what_was_decided():
    horn, hooter = await card("Horn silent"), await card("Hooter hoarse")
    for right in (horn.id, horn.id, horn.id, hooter.id):
        await decided(right, {horn.id: 0.75, hooter.id: 0.15})
    await decided(None, {horn.id: 0.25}, none=0.7)
    found = await calibration.calibration(WINDOW)
    assert (found.decided, found.tickets, found.enough, found.scorer_versions) == (5, 5, False, {"prior": 5})
    assert [(one.mean, one.share, one.count) for one in found.shown.bins] == [
        (pytest.approx(0.15), 0.25, 4),
        (0.25, 0.0, 1),
        (0.75, 0.75, 4),
    ]
    assert all(one.low <= one.share <= one.high for one in found.shown.bins)
    assert (found.best.count, found.none.count) == (5, 5)
    assert [(one.mean, one.share, one.count) for one in found.none.bins] == [
        (pytest.approx(0.1), 0.0, 4),
        (0.7, 1.0, 1),
    ]
    assert found.best.brier == pytest.approx((3 * 0.25**2 + 0.75**2 + 0.25**2) / 5)


async def test_the_first_match_with_probabilities_counts_if_it_came_before_the_decision():
    horn = await card("Horn silent")
    ticket = await decided(horn.id, {horn.id: 0.9}, none=None)
    await match_run(ticket, {horn.id: 0.35}, 0.6).insert()
    await match_run(ticket, {horn.id: 0.95}, 0.0).insert()
    await decided(horn.id, {horn.id: 0.99}, created_at=clock.now())
    found = await calibration.calibration(WINDOW)
    assert (found.decided, found.tickets) == (2, 1)
    assert [(one.mean, one.share) for one in found.shown.bins] == [(0.35, 1.0)]


async def test_a_card_that_was_merged_since_stands_for_its_heir():
    horn, heir = await card("Horn silent"), await card("Hooter mute")
    await decided(heir.id, {horn.id: 0.5})
    await FailureCard.get_pymongo_collection().update_one({"_id": horn.id}, {"$set": {"merged_into": heir.id}})
    assert [one.share for one in (await calibration.calibration(WINDOW)).shown.bins] == [1.0]


async def test_what_may_still_come_back_is_not_decided():
    horn = await card("Horn silent")
    await decided(horn.id, {horn.id: 0.5})
    assert (await calibration.calibration(timedelta(days=365))).decided == 0


async def test_enough_is_said_from_a_number_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calibration, "ENOUGH", 2)
    horn = await card("Horn silent")
    for _ in range(2):
        await decided(horn.id, {horn.id: 0.5})
    assert (await calibration.calibration(WINDOW)).enough


async def test_reading_never_scans(database_url: str, database_name: str):
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        horn = await card("Horn silent")
        await decided(horn.id, {horn.id: 0.5})
        await calibration.calibration(WINDOW)
    assert await queries.scans(database) == set()
