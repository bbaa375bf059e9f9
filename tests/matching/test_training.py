"""Learning the calibrated scorer's weights, on cases whose right weights are known."""

from dataclasses import replace

import numpy as np
import pytest

from matching import CardIndex, CardRecord, Case, Matcher, Vehicle, VehicleRange
from matching.scorers.calibrated import CARD_FEATURES, NONE_FEATURES, CalibratedModel, CalibratedScorer, Weights
from matching.training import FOLDS, Decision, Row, collect, figures, fit, folds, held_out, probabilities

NO_PRIOR = Weights({}, {}, {})
KEYWORD = list(CARD_FEATURES).index("keyword")


def simulated(count: int, weight: float, constant: float, seed: int = 0) -> list[Row]:
    """Rows whose truth was drawn from the model itself, with one telling feature."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        card = np.zeros((6, len(CARD_FEATURES)))
        card[:, KEYWORD] = random.uniform(size=6)
        none = np.array([float(name == "constant") for name in NONE_FEATURES])
        odds = np.exp(np.append(weight * card[:, KEYWORD], constant))
        chosen = random.choice(7, p=odds / odds.sum())
        relevant = np.arange(6) == chosen
        ids = tuple(f"fc_{i}" for i in range(6))
        truth = frozenset(ids[i] for i in np.flatnonzero(relevant))
        decision = Decision(Case(), truth, f"group {number % 40}")
        rows.append(Row(ids, card, none, relevant, np.zeros(6, dtype=bool), decision))
    return rows


def test_recovers_the_weights_that_made_the_truth() -> None:
    weights = fit(simulated(3000, weight=4.0, constant=2.5), NO_PRIOR, strength=1e-6)
    assert weights.card["keyword"] == pytest.approx(4.0, rel=0.1)
    assert weights.none["constant"] == pytest.approx(2.5, rel=0.1)


def test_few_decisions_stay_near_the_prior_and_many_leave_it() -> None:
    prior = Weights({"keyword": 1.0}, {"constant": 1.0}, {})
    moved = [fit(simulated(n, 6.0, 3.0), prior, strength=30 / n).card["keyword"] for n in (3, 30, 3000)]
    assert 1.0 <= moved[0] < moved[1] < moved[2]
    assert moved[2] == pytest.approx(6.0, rel=0.2)


def test_features_not_learnt_keep_their_weight() -> None:
    prior = Weights({"keyword": 1.0, "exact": 6.0}, {"constant": 1.0}, {})
    weights = fit(simulated(50, 4.0, 2.0), prior, learnt=("constant",))
    assert weights.card["keyword"] == 1.0
    assert weights.card["exact"] == 6.0
    assert weights.none["constant"] != 1.0


def test_weights_of_brief_cases_are_found_behind_their_brevity() -> None:
    rows = [replace(row, terms=1) for row in simulated(3000, weight=2.0, constant=1.5)]
    weights = fit(rows, Weights({}, {}, {}, brevity=0.5), strength=1e-6)
    assert weights.card["keyword"] == pytest.approx(4.0, rel=0.15)
    assert weights.none["constant"] == pytest.approx(3.0, rel=0.15)
    assert weights.brevity == 0.5


def test_cross_validation_of_the_true_model_is_calibrated() -> None:
    result = figures(held_out(simulated(1000, 6.0, 4.0), NO_PRIOR, strength=1e-6))
    assert result["ece"] < 0.06
    assert result["auroc_nomatch"] > 0.55
    assert result["hit@1"] > 0.3


def test_groups_are_never_split_and_folds_are_even() -> None:
    rows = simulated(400, 4.0, 2.0)
    which = folds(rows)
    for known in (True, False):
        by_group: dict[str, set[int]] = {}
        for row, fold in zip(rows, which, strict=True):
            if bool(row.decision.relevant) is known:
                by_group.setdefault(row.decision.group, set()).add(int(fold))
        assert all(len(seen) == 1 for seen in by_group.values())
    sizes = np.bincount(which, minlength=FOLDS)
    assert sizes.max() - sizes.min() < 40


def test_ignored_cards_teach_nothing_and_count_as_wrong() -> None:
    row = simulated(1, 0.0, -20.0)[0]
    row.card[:, KEYWORD] = [1, 0.9, 0, 0, 0, 0]
    twin = replace(
        row,
        relevant=np.arange(6) == 1,
        ignored=np.arange(6) == 0,
        decision=replace(row.decision, relevant=frozenset({"fc_1"}), ignored=frozenset({"fc_0"})),
    )
    weights = fit([twin], NO_PRIOR)
    assert weights.card["keyword"] > 0
    assert figures([(twin, probabilities(twin, weights))])["hit@1"] == 0.0


@pytest.mark.parametrize("brevity", [1.0, 0.6])
def test_rows_of_a_real_index_score_like_the_scorer(brevity: float) -> None:
    index = CardIndex()
    index.upsert(CardRecord("a", title="Throttle sensor drift", vehicles=(VehicleRange("Ather", "450X"),)))
    index.upsert(CardRecord("b", title="Coolant pump noise", universal=True))
    matcher = Matcher(index)
    case = Case("throttle sensor noise", vehicle=Vehicle("Ather", "450X"))
    (row,) = collect(matcher, [Decision(case, frozenset({"a"}), "g")])
    shipped = CalibratedModel.shipped()
    weights = replace(shipped.variant(None)[1], brevity=brevity)
    scorer = CalibratedScorer(replace(shipped, variants={"none": weights}))
    result = Matcher(index, [scorer]).match(case, scorer=CalibratedScorer.name)
    expected = dict(zip(row.ids, probabilities(row, weights), strict=False))
    assert {c.card_id: c.probability for c in result.candidates} == pytest.approx(expected)
    assert row.relevant.tolist() == [card_id == "a" for card_id in row.ids]
