"""Figures of a method on judged complaints, worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.diagnosis.evaluation.figures import figures, reliability, share_interval
from services.diagnosis.evaluation.groups import SMALL, groups
from tests.services.diagnosis.evaluation.samples import answer, gold

KEYS = {"hit@1", "hit@3", "hit@10", "mrr", "ndcg@10", "auroc_nomatch", "ece"}


def test_the_figures_of_three_rankings():
    found = {
        "p": answer("abc", 0.9),
        "q": answer("xya", 0.6),
        "r": answer("", 0.0),
        "n": answer("z", 0.95),
        "o": answer("z", 0.1),
    }
    measured = figures(gold({"p": "a", "q": "a", "r": "a"}, "no"), found)
    assert measured.ranks.hit_1 == pytest.approx(1 / 3)
    assert measured.ranks.hit_3 == pytest.approx(2 / 3)
    assert measured.ranks.hit_10 == pytest.approx(2 / 3)
    assert measured.ranks.mrr == pytest.approx((1 + 1 / 3) / 3)
    assert measured.ranks.ndcg_10 == pytest.approx((1 + 1 / 2) / 3)
    # Of the six pairs of a known and an unknown one, q and p beat o only.
    assert measured.auroc_nomatch == pytest.approx(2 / 6)
    assert measured.ece is measured.brier is measured.abstention_recall is None
    # One of the two unknown ones scores as high as the only right answer.
    assert (measured.fools_typical, measured.fools_most) == (0.5, 0.5)


def test_siblings_are_left_out_of_rankings_and_count_as_wrong_in_the_strict_figures():
    measured = figures(gold({"p": "a"}, siblings={"p": "s"}), {"p": answer("sa", 0.9)})
    assert (measured.ranks.hit_1, measured.strict.hit_1, measured.strict.hit_3) == (1, 0, 1)


def test_calibration_counts_every_best_candidate_and_those_of_unanswerable_complaints_as_wrong():
    found = {"p": answer("a", 0.9, probability=0.9), "n": answer("z", 0.9, probability=0.9)}
    measured = figures(gold({"p": "a"}, "n"), found)
    assert measured.ece == pytest.approx(0.4)
    assert measured.brier == pytest.approx((0.1**2 + 0.9**2) / 2)


def test_abstention_is_judged_at_the_scorers_own_threshold():
    found = {
        "p": answer("a", 0.9, abstained=False),
        "q": answer("a", 0.1, abstained=True),
        "n": answer("z", 0.2, abstained=True),
        "o": answer("z", 0.9, abstained=False),
        "m": answer("z", 0.9, abstained=False),
    }
    measured = figures(gold({"p": "a", "q": "a"}, "nom"), found)
    assert measured.abstention_precision == pytest.approx(1 / 2)
    assert measured.abstention_recall == pytest.approx(1 / 3)


def test_what_cannot_be_computed_is_null():
    told = figures(gold({}), {}).as_json()
    assert told.keys() >= KEYS
    assert {told[key] for key in KEYS} == {None}
    assert told["abstention"] == {"precision": None, "recall": None}


def test_a_reliability_diagram_shows_what_came_true_and_how_sure_that_is():
    low, high = reliability([0.02, 0.08, 0.91, 0.99, 1.0], [False, True, True, True, True])
    assert (low.mean, low.share, low.count) == (pytest.approx(0.05), 0.5, 2)
    assert (high.share, high.high, high.count) == (1.0, 1.0, 3)
    # Wilson's interval at 3 of 3: n / (n + z²).
    assert high.low == pytest.approx(3 / (3 + 1.6448536**2))


@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_holds_its_share_and_narrows_with_cases(right: int, count: int):
    share = min(right, count) / count
    low, high = share_interval(share, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    closer = share_interval(share, 4 * count)
    assert closer[1] - closer[0] < high - low


def test_groups_say_how_many_they_are_and_warn_of_few():
    judged = gold(dict.fromkeys("bcdefghijklmnopqrstu", "a"), "vw")
    found = {id_: answer("a" if id_ < "l" else "x", 0.5, abstained=id_ in "bv") for id_ in judged.complaints}
    divided = groups(judged, found)
    assert set(divided) == {"make", "component", "words"}
    (make,), (component,) = divided["make"], divided["component"]
    assert (make.name, component.name) == ("ATHER", "BRAKES")
    assert (make.answerable, make.unanswerable, make.small) == (SMALL, 2, False)
    assert make.ranks.hit_1 == 0.5
    assert (make.abstained_wrongly, make.abstained_rightly) == (1 / SMALL, 0.5)
    low, high = make.hit_1_interval or (1, 0)
    assert low < 0.5 < high
    fewer = groups(gold({"p": "a"}), {"p": answer("a", 0.5)})["make"][0]
    assert fewer.small
    assert fewer.abstained_wrongly is None


def test_every_complaint_has_its_place_among_the_lengths():
    judged = gold(dict.fromkeys("pqrs", "a"), "n")
    divided = groups(judged, {id_: answer("a", 0.5) for id_ in judged.complaints})
    assert sum(group.answerable + group.unanswerable for group in divided["words"]) == 5
