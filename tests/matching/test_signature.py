"""FailureSignature hash: what must and what must not change it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.signature import SignatureFields, signature_agreement, signature_hash

SIGNATURE = SignatureFields(
    primary_symptoms=("SYM_BATT_001", "no charge above 80%"),
    error_codes=("P0A80-1A", "E401"),
    subsystem="battery",
    failure_mode="degradation",
    temperature_range="30-45°C",
    load_condition="charging",
    vehicle_age_months=18,
)


@pytest.mark.parametrize(
    "same",
    [
        replace(SIGNATURE, primary_symptoms=SIGNATURE.primary_symptoms[::-1]),
        replace(SIGNATURE, primary_symptoms=("No charge  above 80%", "sym_batt_001", "SYM_BATT_001")),
        replace(SIGNATURE, error_codes=("error E-401", "p0a80 1a")),
        replace(SIGNATURE, humidity_range="", subsystem=" Battery "),
    ],
)
def test_notation_and_order_do_not_matter(same: SignatureFields) -> None:
    assert signature_hash(same) == signature_hash(SIGNATURE)


@pytest.mark.parametrize(
    "other",
    [
        replace(SIGNATURE, primary_symptoms=("SYM_BATT_001",)),
        replace(SIGNATURE, error_codes=("P0A80-16", "E401")),
        replace(SIGNATURE, load_condition="idle"),
        replace(SIGNATURE, vehicle_age_months=19),
        replace(SIGNATURE, load_condition=None, occurrence_pattern="charging"),
    ],
)
def test_facts_matter(other: SignatureFields) -> None:
    assert signature_hash(other) != signature_hash(SIGNATURE)


def test_hash_is_stable_and_versioned() -> None:
    assert signature_hash(SignatureFields(error_codes=("E401",))) == "s1:bdf856cf2a9e22ead3266f34a16ac37a"


@pytest.mark.parametrize("empty", [SignatureFields(), SignatureFields(subsystem="battery", primary_symptoms=(" ",))])
def test_conditions_alone_are_no_signature(empty: SignatureFields) -> None:
    assert signature_hash(empty) is None


def test_agreement() -> None:
    assert signature_agreement(SIGNATURE, SIGNATURE)[0] == 1.0
    half = SignatureFields(primary_symptoms=("SYM_BATT_001",), load_condition="idle")
    # symptoms 2·1/(2+1) of weight 2, load condition 0 of weight 1
    score, fields = signature_agreement(SIGNATURE, half)
    assert score == pytest.approx((2 * 2 / 3) / 3)
    assert fields == ["primary_symptoms"]
    assert signature_agreement(SIGNATURE, SignatureFields(error_codes=("X9",), load_condition="charging")) == (0.0, [])


@given(st.lists(st.text(max_size=20), max_size=6), st.randoms())
def test_order_never_matters(symptoms: list[str], random) -> None:
    shuffled = symptoms.copy()
    random.shuffle(shuffled)
    first = SignatureFields(primary_symptoms=tuple(symptoms), error_codes=tuple(shuffled))
    second = SignatureFields(primary_symptoms=tuple(shuffled), error_codes=tuple(symptoms))
    assert signature_hash(first) == signature_hash(second)
