"""Circumstances: read from words and ranges, and what their agreement with a card's adds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching import CardIndex, CardRecord, Case, Matcher, SignatureFields
from matching.conditions import circumstances_of_card, circumstances_of_case, parse_range

INFINITE = float("inf")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10000-50000", (10_000, 50_000)),
        ("10,000 – 50,000 km", (10_000, 50_000)),
        ("10k-50k", (10_000, 50_000)),
        ("30000+", (30_000, INFINITE)),
        ("mileage above 30000 km", (30_000, INFINITE)),
        ("below 5k", (-INFINITE, 5_000)),
        ("25-45°C", (25, 45)),
        ("-10-5°C", (-10, 5)),
        ("ambient temperature above 40 °C", (40, INFINITE)),
        ("45000", None),  # one number is no range
        ("", None),
        ("any", None),
    ],
)
def test_ranges(text: str, expected: tuple[float, float] | None) -> None:
    assert parse_range(text) == expected


@given(st.text(max_size=60))
def test_any_text_may_be_read_for_a_range(text: str) -> None:
    found = parse_range(text)
    assert found is None or found[0] <= found[1]


@pytest.mark.parametrize(
    ("text", "aspect", "values"),
    [
        ("Fault after washing the scooter", "humidity", ["high"]),
        ("cuts out uphill with a pillion", "load", ["under load"]),
        ("stops charging at 80 %, while charging it hums", "load", ["charging"]),
        ("dead after standing parked overnight", "time of day", ["night"]),
        ("sometimes, in the morning", "occurrence", ["sporadic"]),
        ("training the drain and the brain", "humidity", []),
        ("电池 🔥", "load", []),
    ],
)
def test_words_tell_circumstances(text: str, aspect: str, values: list[str]) -> None:
    assert circumstances_of_case(Case(text)).values(aspect) == values


@pytest.mark.parametrize(
    ("text", "cold"),
    [
        ("no drive on a cold morning", True),
        ("in summer it derates", False),
        ("cold solder joint", None),
        ("in cold and on hot days", None),
    ],
)
def test_weather(text: str, cold: bool | None) -> None:
    found = circumstances_of_case(Case(text)).temperature
    assert (found is None) == (cold is None)
    assert found is None or (found[1] < 20) == cold


SIGNATURE = SignatureFields(
    primary_symptoms=("SYM_A",),
    humidity_range="high",
    temperature_range="25-45°C",
    mileage_range="10000-50000",
    load_condition="under_load",
    occurrence_pattern="sporadic",
    vehicle_age_months=40,
)


def score(card: CardRecord, case: Case) -> float:
    index = CardIndex()
    index.upsert(card)
    return float(index.condition.score(index.prepare(case), np.array([0]))[0])


@pytest.mark.parametrize(
    ("case", "sign"),
    [
        (Case(mileage_km=30_000), 1),
        (Case(mileage_km=52_000), 0),  # just outside: experience, not law
        (Case(mileage_km=120_000), -1),
        (Case("after heavy rain"), 1),
        (Case("in the snow"), -1),
        (Case("on a hot day"), 1),
        (Case("climbing the ghat"), 1),
        (Case("while charging"), -1),
        (Case(vehicle_age_months=36), 1),
        (Case(vehicle_age_months=6), -1),
        (Case(conditions=("monsoon",)), 1),
        (Case(subsystem="charger"), 1),
        (Case(subsystem="brakes"), 0),
        (Case(subsystem="body"), 0),
        (Case("the radio is silent"), 0),
        (Case(), 0),
    ],
)
def test_agreement_adds_contradiction_subtracts_silence_is_neutral(case: Case, sign: int) -> None:
    card = CardRecord("fc", signature=SIGNATURE, subsystem="charging_port")
    assert np.sign(score(card, case)) == sign
    assert score(CardRecord("fc"), case) == 0


def test_a_contradiction_weighs_less_than_an_agreement() -> None:
    card = CardRecord("fc", signature=SIGNATURE)
    assert score(card, Case(mileage_km=30_000)) > -score(card, Case(mileage_km=120_000)) > 0


def test_a_card_states_circumstances_in_words_too() -> None:
    card = CardRecord("fc", conditions=("after a fall or washing", "mileage above 30000", "mileage 45000 km"))
    known = circumstances_of_card(card)
    assert known.values("humidity") == ["high"]
    assert known.mileage == (30_000, INFINITE)
    assert circumstances_of_card(CardRecord("fc", mileage_km=(None, 9_000))).mileage == (0, 9_000)


def test_the_explanation_says_it_in_words() -> None:
    index = CardIndex()
    index.upsert(CardRecord("fc", title="Motor overheats", signature=SIGNATURE))
    case = Case("motor overheats after rain while charging, on a hot day", mileage_km=150_000)
    (candidate,) = Matcher(index).match(case, scorer="calibrated").candidates
    said = {reason.text: reason.contribution for reason in candidate.reasons if reason.channel == "condition"}
    assert said.keys() == {
        "humidity as on the card: high",
        "the complaint speaks of heat, as the card does",
        "load charging in the complaint, under load on the card",
        "150,000 km is outside the card's 10,000 to 50,000 km",
    }
    assert [text for text, part in said.items() if part < 0] == [
        "load charging in the complaint, under load on the card",
        "150,000 km is outside the card's 10,000 to 50,000 km",
    ]


@given(st.text(max_size=200))
def test_any_complaint_can_be_read(text: str) -> None:
    circumstances_of_case(Case(text, conditions=(text,)))
