import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.knowledge.phrases import MOST_PER_TEXT, Wordings, parts, phrases, surprise

KNOWN = Wordings(["Charging stops early", "burning smell", "brake lever loose", "whining noise from the motor", "horn"])


def found(text: str, *private: str) -> set[str]:
    return {phrase.text for phrase in phrases(text, KNOWN, private)}


def keys(text: str) -> set[str]:
    return {phrase.key for phrase in phrases(text, KNOWN)}


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("The brake squeals when it is wet", "brake squeals"),
        ("There is a loud whistle of the motor at night", "whistle of the motor"),
        ("KEYFOB KILLS THE HORN", "keyfob kills the horn"),
        ("Since March the horn sounds hoarse.", "horn sounds hoarse"),
    ],
)
def test_finds_what_is_said_of_a_part(text: str, phrase: str):
    assert phrase in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "There is a burning smell",  # known
        "a terrible burning smell",  # known, with something added
        "Charging stops",  # part of a known one
        "We took the vehicle to the dealer on Monday",  # the story
        "blue purple elephant",  # nothing of the trade
        "The motor. Squeals",  # another clause
        "",
    ],
)
def test_leaves_out_what_is_known_or_says_nothing(text: str):
    assert found(text) == set()


def test_order_and_inflection_do_not_matter_but_a_negation_does():
    assert keys("brake squealing") == keys("squeals the brake")
    assert keys("horn does not honk") != keys("horn honks")


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("The horn of Ramesh squeals", ""),
        ("the horn ramesh squeals", "Ramesh Kumar"),
        ("horn MH12AB1234 squeals", ""),
        ("horn 9876543210 squeals", ""),
        ("horn ramesh@example.com squeals", ""),
        ("horn Zypp squeals", "zypp"),
    ],
)
def test_nothing_private_gets_through(text: str, private: str):
    assert not any(
        word in said.casefold() for said in found(text, private) for word in ("ramesh", "zypp", "mh12", "987")
    )


@given(st.text(max_size=300))
def test_takes_any_text(text: str):
    said = phrases(text, KNOWN)
    assert len(said) <= MOST_PER_TEXT
    assert len({phrase.key for phrase in said}) == len(said)
    assert not any(character.isdigit() for phrase in said for character in phrase.text)


def test_shorter_phrases_of_a_longer_one():
    assert parts("brake pedal soft") == ["brake pedal", "brake soft", "pedal soft"]
    assert parts("brake pedal") == []


def test_words_that_meet_by_chance_do_not_surprise():
    often, rarely = surprise(100, 10_000, "brake squeal"), surprise(10, 10_000, "brake squeal")
    assert often > rarely > 0
    assert surprise(1, 10_000, "engin steer") < 0
