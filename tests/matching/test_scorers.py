"""Both scorers: the spec's formula by worked examples, probability and abstention, and the promises they share."""

import json
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching import (
    CardIndex,
    CardRecord,
    Case,
    HashingEmbedder,
    Matcher,
    MatchType,
    SignatureFields,
    Vehicle,
    VehicleRange,
)
from matching.minilm import NAME as MINILM
from matching.scorers.calibrated import BRIEF, FULL, CalibratedModel, CalibratedScorer, Weights
from matching.scorers.efi_v2 import effectiveness_multiplier, ensemble
from tests.matching.conftest import ATHER, CARDS

SCORERS = ["efi_v2", "calibrated"]


@pytest.mark.parametrize(
    ("stages", "effectiveness", "expected"),
    [
        # code, four keywords, cosine 0.8, right vehicle, always successful
        ((0.95, 0.7, 0.68, 0.1), 1.0, 0.38 + 0.21 + 0.136 + 0.01),
        # the same without any success yet: half
        ((0.95, 0.7, 0.68, 0.1), 0.0, 0.368),
        # text only, on the wrong vehicle, 60 % effective
        ((0.0, 0.5, 0.425, -0.2), 0.6, (0.15 + 0.085 - 0.02) * 0.8),
        ((0.0, 0.0, 0.0, -0.2), 0.5, -0.015),
    ],
)
def test_worked_examples_of_the_ensemble(stages: tuple[float, ...], effectiveness: float, expected: float) -> None:
    assert ensemble(*stages, effectiveness) == pytest.approx(expected)


@given(st.floats(allow_nan=False))
def test_multiplier_is_bounded(effectiveness: float) -> None:
    assert 0.5 <= effectiveness_multiplier(effectiveness) <= 1.0


def test_efi_v2_of_a_whole_match(index: CardIndex) -> None:
    case = Case("Battery charging slowly", error_codes=("E401",), vehicle=ATHER)
    best = Matcher(index).match(case).candidates[0]
    assert best.card_id == "fc_bms"
    assert best.match_type is MatchType.exact
    # two keywords shared ("battery", "charging"): 0.3 + 0.2; effectiveness 0.8 gives 0.9
    cosine = best.channels["semantic"]
    assert best.score == pytest.approx((0.4 * 0.95 + 0.3 * 0.5 + 0.2 * 0.85 * cosine + 0.1 * 0.1) * 0.9)


def test_efi_v2_punishes_other_vehicles_and_spares_universal_cards() -> None:
    index = CardIndex()
    shared = {"keywords": ("isolation", "fault", "rain"), "effectiveness": 1.0}
    index.upsert(CardRecord("right", vehicles=(VehicleRange("Ather", "450X"),), **shared))
    index.upsert(CardRecord("universal", universal=True, **shared))
    index.upsert(CardRecord("silent", **shared))
    index.upsert(CardRecord("wrong", vehicles=(VehicleRange("Ola", "S1"),), **shared))
    result = Matcher(index).match(Case("isolation fault in rain", vehicle=ATHER))
    keyword = 0.3 * 0.6
    assert {c.card_id: c.score for c in result.candidates} == pytest.approx(
        {"right": keyword + 0.01, "universal": keyword, "silent": keyword, "wrong": keyword - 0.02}
    )


def test_equal_signature_takes_the_fast_path(index: CardIndex) -> None:
    result = Matcher(index).match(Case("battery charging balancing cell", signature=CARDS[2].signature))
    assert [c.card_id for c in result.candidates] == ["fc_iso"]
    assert result.candidates[0].score == 1.0
    assert result.candidates[0].match_type is MatchType.exact
    assert [step.name for step in result.trace] == ["prepare", "signature", "score"]


def test_a_shared_code_alone_is_no_fast_path(index: CardIndex) -> None:
    result = Matcher(index).match(Case("hall sensor", error_codes=("E402",)))
    assert {c.card_id for c in result.candidates} >= {"fc_bms", "fc_hall"}
    assert [step.name for step in result.trace][-2] == "vehicle"


def test_keyword_stage_is_capped() -> None:
    index = CardIndex()
    words = ("axle", "brake", "cable", "door", "engine", "fender", "gasket", "hinge")
    index.upsert(CardRecord("fc", keywords=words))
    result = Matcher(index).match(Case(" ".join(words)))
    assert result.candidates[0].channels["overlap"] == pytest.approx(0.8)
    assert result.candidates[0].match_type is MatchType.partial


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize(
    "case",
    [
        Case("Battery not charging beyond 80%, code E401", vehicle=ATHER),
        Case("Motor jerks", vehicle=Vehicle("Ather", "450X")),
        Case(error_codes=("P0AA6-1A",)),
        Case("isolation warning", signature=SignatureFields(error_codes=("P0AA6",), subsystem="hv")),
        Case(vehicle=ATHER),
        Case("🔥"),
        Case(),
    ],
)
def test_promises_of_every_scorer(matcher: Matcher, scorer: str, case: Case) -> None:
    result = matcher.match(case, scorer=scorer, limit=50)
    scores = [candidate.score for candidate in result.candidates]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    for candidate in result.candidates:
        assert sum(reason.contribution for reason in candidate.reasons) == pytest.approx(candidate.score, abs=1e-6)
    assert result.scorer == scorer
    assert result.scorer_version
    # What is kept of a match suffices to compute it once more, without the index.
    kept = [candidate.inputs for candidate in result.candidates]
    again, none = matcher.scorers[scorer].again(kept, result.shared, result.embedder)
    assert again == pytest.approx(scores, abs=1e-12)
    assert none == pytest.approx(result.none_probability, abs=1e-12)


def test_calibrated_believes_and_abstains(matcher: Matcher) -> None:
    known = matcher.match(
        Case("Battery not charging beyond 80%, cells spread, E401", vehicle=ATHER), scorer="calibrated"
    )
    assert known.abstained is False
    assert known.candidates[0].card_id == "fc_bms"
    assert known.candidates[0].probability == known.candidates[0].score
    unknown = matcher.match(Case("The radio plays the wrong station", vehicle=ATHER), scorer="calibrated")
    assert unknown.abstained is True
    assert unknown.none_probability > 0.5 > known.none_probability


def test_calibrated_says_what_speaks_against(matcher: Matcher) -> None:
    result = matcher.match(Case("motor jerks at start, hall sensor", vehicle=ATHER), scorer="calibrated")
    hall = next(candidate for candidate in result.candidates if candidate.card_id == "fc_hall")
    assert [reason.text for reason in hall.against] == ["the card is for other vehicles"]


def test_calibrated_prefers_proven_cards() -> None:
    index = CardIndex()
    card = CardRecord("a", title="Throttle sensor drift", symptom_text="Throttle response drifts")
    index.upsert(replace(card, evidence_lower=0.2))
    index.upsert(replace(card, card_id="b", evidence_lower=0.7))
    index.upsert(replace(card, card_id="c"))
    result = Matcher(index).match(Case("throttle response drifts"), scorer="calibrated")
    assert [candidate.card_id for candidate in result.candidates] == ["b", "c", "a"]


def test_cards_and_none_share_one_probability(matcher: Matcher) -> None:
    result = matcher.match(Case("motor jerks, battery charging stops", vehicle=ATHER), scorer="calibrated", limit=50)
    assert sum(c.probability for c in result.candidates) + result.none_probability == pytest.approx(1)


def test_twins_share_what_one_alone_would_get() -> None:
    index = CardIndex()
    index.upsert(CardRecord("a", title="Throttle sensor drift", error_codes=("P2135",)))
    case = Case("throttle sensor drift", error_codes=("P2135",))
    alone = Matcher(index).match(case, scorer="calibrated").candidates[0].probability
    index.upsert(CardRecord("b", title="Throttle sensor drift", error_codes=("P2135",)))
    twins = [c.probability for c in Matcher(index).match(case, scorer="calibrated").candidates]
    assert twins[0] == pytest.approx(twins[1])
    assert twins[0] < alone


def test_an_embedder_nobody_learnt_for_adds_nothing_to_the_probability() -> None:
    cards = CardRecord("a", title="Throttle sensor drift"), CardRecord("b", title="Coolant pump noise")
    case = Case("coolant pump")
    found = []
    for embedder in (None, HashingEmbedder()):
        index = CardIndex(embedder)
        index.upsert_many(cards)
        found.append(Matcher(index).match(case, scorer="calibrated").candidates[0].probability)
    assert found[0] == pytest.approx(found[1])


GOOD = {
    "version": "1",
    "abstain_above": 0.5,
    "variants": {"none": {"card": {"exact": 1.0}, "none": {"constant": 1.0}, "ranges": {"typical": [0, 1]}}},
}


def test_what_words_say_counts_less_in_a_brief_complaint() -> None:
    weights = Weights({"keyword": 2.0, "exact": 3.0}, {"constant": 1.0}, {}, brevity=0.5)
    assert [weights.told(terms) for terms in (0, 1, BRIEF, FULL, 10 * FULL)] == [0.5, 0.5, 0.5, 1, 1]
    between = [weights.told(terms) for terms in range(BRIEF, FULL + 1)]
    assert between == sorted(set(between))
    assert weights.column(0.5).tolist() == [[1.0], [3.0]]


def test_a_brief_complaint_is_reckoned_alike_when_it_is_reckoned_again(matcher: Matcher) -> None:
    model = CalibratedModel.shipped()
    brief = {name: replace(weights, brevity=0.5) for name, weights in model.variants.items()}
    scorer = CalibratedScorer(replace(model, variants=brief))
    told = Matcher(matcher.index, [scorer]).match(Case("motor jerks at start"), scorer="calibrated")
    again, none = scorer.again([one.inputs for one in told.candidates], told.shared, told.embedder)
    assert again == pytest.approx([one.score for one in told.candidates], abs=1e-12)
    assert none == pytest.approx(told.none_probability, abs=1e-12)
    whole = matcher.match(Case("motor jerks at start"), scorer="calibrated")
    assert told.none_probability < whole.none_probability


def test_shipped_model_is_sound_and_says_how_it_was_found() -> None:
    text = files("matching.models").joinpath("calibrated.json").read_text("utf-8")
    model = CalibratedModel.load(text)
    assert model.variants.keys() == {"none", MINILM}
    assert json.loads(text)["record"]
    assert CalibratedModel.load(json.dumps(GOOD)).variant("unheard-of")[0] == "none"


@pytest.mark.parametrize(
    "variants",
    [
        {},
        {"none": {"card": {"magic": 1.0}, "none": {}}},
        {"none": {"card": {"exact": "NaN"}, "none": {}}},
        {"none": {"card": {}, "none": {"constant": "Infinity"}}},
        {"none": {"card": {}}},
        {"none": {"card": {}, "none": {}, "brevity": 0}},
        {"none": {"card": {}, "none": {}, "brevity": 1.5}},
        {"none": {"card": {}, "none": {}, "brevity": "NaN"}},
        [],
    ],
)
def test_models_that_make_no_sense_are_refused(variants: object) -> None:
    with pytest.raises(ValueError, match="not a calibrated model"):
        CalibratedModel.load(json.dumps(GOOD | {"variants": variants}))
