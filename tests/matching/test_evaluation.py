"""Measures against values worked out by hand."""

import math

import pytest

from matching.evaluation import (
    auroc,
    brier,
    expected_calibration_error,
    hit_at,
    ndcg_at,
    precision_recall,
    reciprocal_rank,
    reliability,
)

RANKING = ["a", "b", "c", "d"]


@pytest.mark.parametrize(("k", "hit"), [(1, 0.0), (2, 0.0), (3, 1.0), (10, 1.0)])
def test_hit(k: int, hit: float) -> None:
    assert hit_at(RANKING, {"c"}, k) == hit


def test_reciprocal_rank() -> None:
    assert reciprocal_rank(RANKING, {"c", "d"}) == pytest.approx(1 / 3)
    assert reciprocal_rank(RANKING, {"x"}) == reciprocal_rank([], {"x"}) == 0.0


def test_ndcg() -> None:
    # gains 0, 2, 0, 1 at ranks 1..4; ideal 2, 1
    expected = (2 / math.log2(3) + 1 / math.log2(5)) / (2 / math.log2(2) + 1 / math.log2(3))
    assert ndcg_at(RANKING, {"b": 2.0, "d": 1.0}) == pytest.approx(expected)
    assert ndcg_at(["b", "d"], {"b": 2.0, "d": 1.0}) == pytest.approx(1.0)
    assert ndcg_at(RANKING, {"b": 2.0, "d": 1.0}, k=1) == 0.0
    assert ndcg_at(RANKING, {}) == 0.0


def test_auroc_counts_ties_half() -> None:
    # pairs: (.9 beats both), (.5 beats .1, ties .5) -> 3.5 of 4
    assert auroc([0.9, 0.5], [0.5, 0.1]) == pytest.approx(3.5 / 4)
    assert auroc([1.0, 1.0], [1.0]) == 0.5
    assert auroc([], [1.0]) is auroc([1.0], []) is None


def test_calibration() -> None:
    probabilities = [0.05, 0.05, 0.95, 0.85, 1.0]
    outcomes = [False, True, True, False, True]
    # bins: [0, .1): mean .05, share .5, n 2; [.8, .9): .85, 0, 1; [.9, 1]: .975, 1, 2
    assert reliability(probabilities, outcomes) == [
        (pytest.approx(0.05), 0.5, 2),
        (pytest.approx(0.85), 0.0, 1),
        (pytest.approx(0.975), 1.0, 2),
    ]
    assert expected_calibration_error(probabilities, outcomes) == pytest.approx((0.45 * 2 + 0.85 + 0.025 * 2) / 5)
    assert brier([0.5, 1.0], [True, False]) == pytest.approx(0.625)
    assert expected_calibration_error([], []) is brier([], []) is None


def test_precision_recall() -> None:
    assert precision_recall([True, True, False, False], [True, False, True, True]) == (0.5, pytest.approx(1 / 3))
    assert precision_recall([False], [False]) == (None, None)
