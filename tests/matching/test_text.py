"""Normalisation of owner, trade and maker language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.text import MAX_CHARACTERS, fold, keywords, terms, words


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("48 V battery", "48v batteries"),
        ("48-volt battery", "48V BATTERY"),
        ("state of charge drops", "SOC dropped"),
        ("regenerative braking", "regen"),
        ("DC-DC converter", "dc to dc converters"),
        ("check engine light", "MIL"),
        ("insulation fault", "isolation faults"),
        ("engine stalls", "engine stalling"),
        ("brakes", "brake"),
        ("charging stopped", "charges stop"),
        ("80 %", "80 percent"),
        ("tyre", "tires"),
        ("naïve café", "naive cafe"),
        ("ＢＭＳ", "bms"),
    ],
)
def test_same_meaning_same_terms(left: str, right: str) -> None:
    assert terms(left) == terms(right)


def test_function_words_go_and_numbers_stay() -> None:
    assert terms("It is at the 2018 model") == ["2018", "model"]


def test_scripts_without_spaces_become_pairs() -> None:
    assert words("电池故障") == ["电池", "池故", "故障"]
    assert words("电") == ["电"]


def test_devanagari_words_keep_their_vowels() -> None:
    assert words("बैटरी चार्ज नहीं होती") == ["बैटरी", "चार्ज", "नहीं", "होती"]


def test_control_characters_and_emoji_vanish() -> None:
    assert terms("brake\x00\u202efailure 🔥") == terms("brake failure")


def test_keywords_skip_boilerplate_and_numbers() -> None:
    assert keywords("THE CONTACT STATED THAT THE BRAKE PEDAL AND THE BRAKE FAILED 2016") == ("brak", "pedal", "fail")


def test_length_is_bounded() -> None:
    assert len(fold("x" * (MAX_CHARACTERS + 10))) == MAX_CHARACTERS


@given(st.text(max_size=200))
def test_any_text_yields_clean_terms(text: str) -> None:
    for term in terms(text):
        assert term.strip() == term != ""
        assert not any(character.isspace() for character in term)
