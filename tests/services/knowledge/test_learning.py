import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.enums import ConfidenceLevel
from services.knowledge import learning
from services.knowledge.learning import Decayed

START = datetime(2026, 1, 1, tzinfo=UTC)
HALF_LIFE = timedelta(days=365)
EMPTY = Decayed(START)

outcomes = st.lists(st.tuples(st.integers(0, 2000), st.booleans()), max_size=40)
"""(Day, success) pairs."""


def replay(events: list[tuple[int, bool]]) -> Decayed:
    evidence = EMPTY
    for day, success in events:
        evidence = evidence.plus(
            START + timedelta(days=day), HALF_LIFE, successes=int(success), failures=int(not success)
        )
    return evidence


def sums(evidence: Decayed) -> tuple[float, float, float]:
    return evidence.successes, evidence.failures, evidence.rejections


@given(start=st.floats(0, 1), moves=st.lists(st.booleans(), max_size=300))
def test_score_never_leaves_its_range(start: float, moves: list[bool]):
    score = start
    for success in moves:
        before, score = score, learning.stepped(score, success=success)
        assert 0 <= score <= 1
        assert score >= before - 1e-9 if success else score <= before + 1e-9


@given(moves=st.lists(st.booleans(), max_size=20), seed=st.integers())
def test_score_ignores_order_away_from_the_walls(moves: list[bool], seed: int):
    shuffled = random.Random(seed).sample(moves, len(moves))

    def end(order: list[bool]) -> float:
        score = 0.5
        for success in order:
            score = learning.stepped(score, success=success)
        return score

    assert end(moves) == end(shuffled)


def test_score_depends_on_order_at_a_wall():
    up_down = learning.stepped(learning.stepped(1.0, success=True), success=False)
    down_up = learning.stepped(learning.stepped(1.0, success=False), success=True)
    assert (up_down, down_up) == (0.98, 0.99)


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0.0, ConfidenceLevel.low),
        (0.3999, ConfidenceLevel.low),
        (0.4, ConfidenceLevel.medium),
        (0.6999, ConfidenceLevel.medium),
        (0.7, ConfidenceLevel.high),
        (0.8999, ConfidenceLevel.high),
        (0.9, ConfidenceLevel.verified),
        (1.0, ConfidenceLevel.verified),
    ],
)
def test_levels_begin_at_their_threshold(score: float, level: ConfidenceLevel):
    assert learning.level_of(score) is level


def test_steps_meet_the_threshold_exactly():
    score = 0.3
    for _ in range(10):
        score = learning.stepped(score, success=True)
    assert learning.level_of(score) is ConfidenceLevel.medium


@pytest.mark.parametrize(
    ("successes", "usages", "expected"), [(0, 0, 0.0), (1, 1, 1.01), (3, 4, 0.79), (45, 50, 1.0), (100, 100, 1.1)]
)
def test_effectiveness_is_the_specified_sum(successes: int, usages: int, expected: float):
    assert learning.effectiveness(successes, usages) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("vehicle", "variant"),
    [
        (("Ather", "450X", 2023), "ather|450x|2023"),
        (("", "", None), "||"),
        ((" Tata  Motors ", "A|B", None), "tata motors|a b|"),
    ],
)
def test_variant_names_the_vehicle(vehicle: tuple[str, str, int | None], variant: str):
    assert learning.variant_of(*vehicle) == variant


@given(events=outcomes, seed=st.integers())
def test_evidence_ignores_the_order_of_replay(events: list[tuple[int, bool]], seed: int):
    shuffled = random.Random(seed).sample(events, len(events))
    assert sums(replay(events)) == pytest.approx(sums(replay(shuffled)), rel=1e-9)


@given(events=outcomes, day=st.integers(0, 2000), later=st.integers(0, 2000))
def test_taking_back_restores(events: list[tuple[int, bool]], day: int, later: int):
    """A success that is turned into a failure leaves what a failure on that day would have left."""
    occurred = START + timedelta(days=day)
    taken_back = (
        replay(events)
        .plus(occurred, HALF_LIFE, successes=1)
        .plus(START + timedelta(days=later), HALF_LIFE, rejections=1)
        .plus(occurred, HALF_LIFE, successes=-1, failures=1)
    )
    failed = replay([*events, (day, False)]).plus(START + timedelta(days=later), HALF_LIFE, rejections=1)
    assert sums(taken_back) == pytest.approx(sums(failed), rel=1e-6, abs=1e-9)


def test_an_outcome_halves_with_the_half_life():
    evidence = EMPTY.plus(START, HALF_LIFE, successes=8).at(START + 3 * HALF_LIFE, HALF_LIFE)
    assert evidence.successes == pytest.approx(1.0)


@given(events=outcomes)
def test_posterior_is_a_rate_within_its_interval(events: list[tuple[int, bool]]):
    rate = learning.fix_rate(replay(events))
    assert 0 <= rate.low <= rate.mean <= rate.high <= 1


def test_nothing_known_is_the_uniform_prior():
    rate = learning.fix_rate(EMPTY)
    assert (rate.mean, rate.n) == (0.5, 0)
    assert (rate.low, rate.high) == pytest.approx((0.05, 0.95))


def test_more_evidence_narrows_the_interval():
    few, many = learning.posterior(8, 2), learning.posterior(80, 20)
    assert many.low > few.low
    assert many.high < few.high


def test_a_card_used_on_one_variant_has_one_posterior():
    own = EMPTY.plus(START, HALF_LIFE, successes=5, failures=2)
    assert learning.variant_fix_rate(own, own, HALF_LIFE) == learning.fix_rate(own)


def test_a_new_variant_starts_from_its_siblings_worth_less_than_ten_outcomes():
    pooled = EMPTY.plus(START, HALF_LIFE, successes=72, failures=18)
    fresh = learning.variant_fix_rate(EMPTY, pooled, HALF_LIFE)
    assert fresh.mean == pytest.approx((1 + 7.2) / (2 + 9))
    assert fresh.n == 0
    assert fresh.low < learning.fix_rate(pooled).low


def test_its_own_outcome_weighs_more_than_one_of_a_sibling():
    own = EMPTY.plus(START, HALF_LIFE, failures=1)
    pooled = own.plus(START, HALF_LIFE, successes=1)
    assert learning.variant_fix_rate(own, pooled, HALF_LIFE).mean < learning.fix_rate(pooled).mean == 0.5


def test_own_failures_outweigh_siblings():
    own = EMPTY.plus(START, HALF_LIFE, failures=12)
    pooled = own.plus(START, HALF_LIFE, successes=900)
    assert learning.variant_fix_rate(own, pooled, HALF_LIFE).mean < 0.5
    assert learning.fix_rate(pooled).mean > 0.95


def test_rejections_lower_acceptance_and_leave_the_fix_rate_alone():
    tried = EMPTY.plus(START, HALF_LIFE, successes=4, failures=1)
    ruled_out = tried.plus(START, HALF_LIFE, rejections=14)
    assert learning.fix_rate(ruled_out) == learning.fix_rate(tried)
    assert learning.acceptance(ruled_out).mean == pytest.approx(6 / 21)
    assert learning.acceptance(tried).mean > learning.acceptance(ruled_out).mean
