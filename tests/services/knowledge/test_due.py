"""The rules by which a card is due for review, each at its border."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from models.governance import DueReason
from services.knowledge.due import ENOUGH, OFTEN, RECENT, Known, chance_of_fall, judge
from services.knowledge.firmware import Sighting
from services.knowledge.learning import Decayed
from services.knowledge.use_review import Use

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = 365 * DAY


def use(days_ago: float, *, worked: bool = True, firmware: str = "") -> Use:
    return Use("fc_1", "usr_1", "site_1", "ather|450x", firmware, worked, NOW - days_ago * DAY)


def reasons(known: Known, review_after: timedelta = YEAR) -> list[DueReason]:
    verdict = judge(known, NOW, review_after=review_after, half_life=YEAR)
    return [note.reason for note in verdict.notes]


def test_a_card_grows_old_and_use_keeps_it_young():
    assert reasons(Known(NOW - 364 * DAY)) == []
    assert reasons(Known(NOW - 365 * DAY)) == [DueReason.age]
    assert reasons(Known(NOW - 700 * DAY, uses=[use(300)])) == []
    assert reasons(Known(NOW - 700 * DAY, uses=[use(300, worked=False)])) == [DueReason.age]
    verdict = judge(Known(NOW - 700 * DAY, uses=[use(300)]), NOW, review_after=YEAR, half_life=YEAR)
    assert verdict.check_at == NOW + 65 * DAY


def test_open_flags_make_it_due_whoever_has_reviewed_it():
    assert reasons(Known(NOW, open_flags=2)) == [DueReason.flagged]


def test_repairs_that_fail_more_often_than_before_make_it_due():
    before = [use(200 + n) for n in range(20)]
    falling = before + [use(10 - n, worked=False) for n in range(3)]
    assert reasons(Known(NOW - YEAR + DAY, uses=falling)) == [DueReason.falling]
    assert reasons(Known(NOW - YEAR + DAY, uses=before + [use(10 - n, worked=n > 0) for n in range(6)])) == []
    assert reasons(Known(NOW - YEAR + DAY, uses=falling[:-1])) == [], "two failures are not enough to conclude from"
    assert reasons(Known(NOW - YEAR + DAY, uses=falling[20:])) == [], "there is no before"
    assert reasons(Known(NOW - DAY, uses=falling)) == [], "reviewed since"


def test_a_steady_card_is_rarely_called_falling():
    """The rule's false alarms: cards whose fix rate never changed."""
    chance = random.Random(4)
    alarms = 0
    for _ in range(400):
        steady = sorted((use(chance.uniform(0, 700), worked=chance.random() < 0.8) for _ in range(40)),
                        key=lambda one: one.occurred_at)  # fmt: skip
        alarms += DueReason.falling in reasons(Known(NOW - 900 * DAY, uses=steady))
    assert alarms / 400 < 0.05


def test_the_chance_of_a_fall_is_the_integral():
    """Against drawing from both posteriors."""
    before, after = Decayed(NOW, 18, 2), Decayed(NOW, 3, 3)
    chance = random.Random(1)
    drawn = [chance.betavariate(4, 4) < chance.betavariate(19, 3) for _ in range(40_000)]
    assert chance_of_fall(before, after) == pytest.approx(sum(drawn) / len(drawn), abs=0.01)
    assert chance_of_fall(before, before) == pytest.approx(0.5, abs=0.005)


def test_often_ruled_out_makes_it_due_unless_it_is_used_as_often():
    rejected = Decayed(NOW, successes=1, rejections=12)
    assert reasons(Known(NOW, rejections=OFTEN, evidence=rejected)) == [DueReason.rejected]
    assert reasons(Known(NOW, rejections=OFTEN - 1, evidence=rejected)) == []
    assert reasons(Known(NOW, rejections=20, evidence=Decayed(NOW, successes=15, rejections=20))) == []


def test_a_firmware_that_the_card_does_not_know_makes_it_due():
    stated = {"ather|450x": {"4.1", "4.2"}}

    def seen(version: str, days_ago: float = 1) -> dict[str, list[Sighting]]:
        return {"ather|450x": [Sighting("ather|450x", version, NOW - days_ago * DAY)]}

    known = NOW - 10 * DAY
    assert reasons(Known(known, firmware=stated, sightings=seen("4.3"))) == [DueReason.firmware]
    assert reasons(Known(known, firmware=stated, sightings=seen("4.2"))) == []
    assert reasons(Known(known, firmware=stated, sightings=seen("4.3", days_ago=11))) == [], "reviewed since"
    assert reasons(Known(known, firmware={"ola|s1": {"1.0"}}, sightings=seen("4.3"))) == []


def test_most_repairs_on_newer_firmware_make_it_due():
    earlier = [use(20, firmware="4.1"), use(19, firmware="4.2")]
    newer = [use(5 - n, firmware="4.3") for n in range(ENOUGH)]
    older = [use(5, firmware="4.2")]
    known = NOW - 10 * DAY
    assert reasons(Known(known, uses=earlier + newer)) == [DueReason.firmware]
    assert reasons(Known(known, uses=earlier + newer + older)) == [DueReason.firmware]
    assert reasons(Known(known, uses=earlier + newer + older * ENOUGH)) == [], "half is not most"
    assert reasons(Known(known, uses=newer)) == [], "nothing to compare with"


def test_a_verdict_that_rests_on_recent_repairs_is_looked_at_again():
    falling = [use(200 + n) for n in range(20)] + [use(10 - n, worked=False) for n in range(3)]
    verdict = judge(Known(NOW - 300 * DAY, uses=falling), NOW, review_after=YEAR, half_life=YEAR)
    assert verdict.check_at is not None
    assert verdict.check_at <= NOW + RECENT
