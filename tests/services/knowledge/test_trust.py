from datetime import datetime, timedelta

import pytest

from app import clock
from models.failure_card import ConfidenceChange
from services.knowledge import trust
from tests.services.knowledge.samples import stored_card

pytestmark = pytest.mark.usefixtures("as_system")


def days_ago(days: float) -> datetime:
    return clock.now() - timedelta(days=days)


def change(days: float, before: float, after: float) -> ConfidenceChange:
    return ConfidenceChange(timestamp=days_ago(days), previous_score=before, new_score=after, change_reason="repair")


async def test_without_cards_there_is_no_trust_to_speak_of():
    points = await trust.trust_over_time(days=12)
    assert len(points) == trust.STEPS + 1
    assert {(point.cards, point.mean_confidence) for point in points} == {(0, None)}
    assert points[-1].at - points[0].at == timedelta(days=12)


async def test_each_moment_has_the_scores_of_then():
    history = [change(100, 0.3, 0.5), change(7.5, 0.5, 0.8), change(3.5, 0.8, 0.6)]
    await stored_card(approved_at=days_ago(200), confidence_score=0.6, confidence_history=history)
    points = await trust.trust_over_time(days=12)
    assert [point.mean_confidence for point in points] == [0.5] * 5 + [0.8] * 4 + [0.6] * 4
    assert (points[6].levels["high"], points[-1].levels["medium"], points[-1].cards) == (1, 1, 1)


async def test_before_the_oldest_change_a_card_had_the_score_that_it_changed():
    await stored_card(approved_at=days_ago(200), confidence_score=0.5, confidence_history=[change(5.5, 0.3, 0.5)])
    points = await trust.trust_over_time(days=12)
    assert [points[0].mean_confidence, points[-1].mean_confidence] == [0.3, 0.5]


async def test_cards_count_from_their_approval_until_they_are_deprecated():
    await stored_card(approved_at=days_ago(5.5), confidence_score=0.9)
    await stored_card(status="deprecated", approved_at=days_ago(99), deprecated_at=days_ago(8.5), confidence_score=0.4)
    await stored_card(status="deprecated", deprecated_at=days_ago(2), confidence_score=0.1)
    await stored_card(status="draft", confidence_score=0.1)
    points = await trust.trust_over_time(days=12)
    assert [point.cards for point in points] == [1] * 4 + [0] * 3 + [1] * 6
    assert [points[0].mean_confidence, points[5].mean_confidence, points[-1].mean_confidence] == [0.4, None, 0.9]
