"""What a technician reads: few reasons, in words, that add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching import CardIndex, CardRecord, Case, Matcher, Reason, Vehicle, VehicleRange
from matching.reasons import NEGLIGIBLE, SMALL, readable, spread

REASONS = st.lists(
    st.builds(Reason, st.sampled_from(["keyword", "vehicle", "exact"]), st.text("abc", min_size=1), st.floats(-1, 1)),
    max_size=40,
)


@given(REASONS)
def test_grouping_keeps_the_sum_and_the_order(reasons: list[Reason]) -> None:
    shown = readable(reasons)
    assert sum(reason.contribution for reason in shown) == pytest.approx(sum(r.contribution for r in reasons), abs=1e-9)
    sizes = [abs(reason.contribution) for reason in shown]
    assert sizes == sorted(sizes, reverse=True)
    assert len(shown) <= len(reasons)


@given(REASONS)
def test_what_speaks_against_is_never_hidden_among_what_speaks_for(reasons: list[Reason]) -> None:
    greatest = max((abs(reason.contribution) for reason in reasons), default=0.0)
    told = max(NEGLIGIBLE, SMALL * greatest)
    against = {reason.text for reason in reasons if reason.contribution <= -told}
    assert against <= {reason.text for reason in readable(reasons) if reason.contribution < 0}


def test_many_small_words_become_one_line() -> None:
    reasons = [Reason("keyword", "“pump”", 0.5), *(Reason("keyword", f"“w{n}”", 0.01 + n / 1000) for n in range(6))]
    assert [reason.text for reason in readable(reasons)] == ["“pump”", "“w5”, “w4”, “w3”, “w2” and 2 more"]


def test_a_share_nobody_explains_keeps_its_source() -> None:
    (reason,) = spread({"evidence": -0.2, "keyword": 0.0}, {})
    assert reason == Reason("evidence", "it has often not helped, or too rarely to be sure", -0.2)


def test_a_card_is_told_what_it_lacks_and_that_it_is_for_others() -> None:
    index = CardIndex()
    index.upsert(
        CardRecord(
            "fc", title="Coolant pump", error_codes=("P0A93",), vehicles=(VehicleRange("Tata", "Nexon EV", 2023, 2024),)
        )
    )
    index.upsert(CardRecord("other", error_codes=("P0A80",)))
    case = Case("coolant pump silent", error_codes=("P0A93", "P0A80"), vehicle=Vehicle("Tata", "Nexon EV", 2020))
    found = {one.card_id: one for one in Matcher(index).match(case, scorer="calibrated").candidates}["fc"]
    assert {reason.text for reason in found.against} == {
        "code P0A80 of the complaint is not among the card's",
        "the card is for other model years",
    }
    assert sum(reason.contribution for reason in found.reasons) == pytest.approx(found.score)
