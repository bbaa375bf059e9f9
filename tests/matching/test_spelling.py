"""What misspelt owner text is read as, against the vocabulary of the cards and of the symptom library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching import CardIndex, CardRecord, Case, Matcher, Symptom
from matching.spelling import MOST_WORDS, can_be_misspelt, distance

CARDS = (
    CardRecord("controller", title="Controller overheats", root_cause="Thermal paste dried out, regeneration weak"),
    CardRecord("battery", title="Battery connector corroded", symptom_text="Accelerator does nothing"),
    CardRecord("switch", title="Brake switch stuck", root_cause="Water in the switch"),
)


@pytest.fixture
def index() -> CardIndex:
    index = CardIndex(symptoms=[Symptom("SYM_BRK_001", "Squealing noise", ("screeching",))])
    index.upsert_many(CARDS)
    return index


def read(index: CardIndex, text: str) -> dict[str, str]:
    query = index.prepare(Case(text))
    return {term: query.read(term) for term in query.term_counts if query.read(term) != term}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("baterry", "battery"),  # two edits, the same consonants
        ("battrey", "battery"),  # two neighbours swapped
        ("conroller", "controller"),  # a letter missing
        ("contrroller", "controller"),  # a letter too many
        ("conttoller", "controller"),  # another letter
        ("thermel", "thermal"),
        ("acelerater", "accelerator"),
        ("squeeling", "squeal"),  # only the symptom library has it
    ],
)
def test_near_words_are_understood(index: CardIndex, written: str, meant: str) -> None:
    assert list(read(index, f"the {written} again").values()) == [meant]


@pytest.mark.parametrize(
    "written",
    [
        "battery controller",  # right
        "stitching",  # a common word no card has, one letter from "switch"
        "bttry",  # too far
        "hott",  # too short
        "P0A8O E4012 12345",  # codes and numbers are never touched
        "बैटरी 电池故障",
    ],
)
def test_everything_else_is_left_alone(index: CardIndex, written: str) -> None:
    assert read(index, written) == {}


def test_corrections_follow_the_cards(index: CardIndex) -> None:
    assert read(index, "invertter") == {}
    index.upsert(CardRecord("new", title="Inverter shuts off"))
    assert read(index, "invertter") == {"invertter": "inverter"}
    index.remove("new")
    assert read(index, "invertter") == {}


def test_a_corrected_word_finds_the_card_for_less_and_says_so(index: CardIndex) -> None:
    matcher = Matcher(index)
    right, wrong = (matcher.match(Case(text), scorer="calibrated") for text in ("thermal paste", "thermel paste"))
    assert right.candidates[0].card_id == wrong.candidates[0].card_id == "controller"
    assert wrong.candidates[0].probability < right.candidates[0].probability
    assert "“thermel” read as “thermal”" in [reason.text for reason in wrong.candidates[0].reasons]


def test_misspelt_symptoms_are_found(index: CardIndex) -> None:
    assert index.graph.symptoms_in(index.prepare(Case("a scretching sound"))) == {"SYM_BRK_001": 1.0}


def test_the_commoner_word_is_meant() -> None:
    index = CardIndex()
    index.upsert_many(CardRecord(f"a{n}", title="stator") for n in range(3))
    index.upsert(CardRecord("b", title="statox"))
    assert read(index, "statoq") == {"statoq": "stator"}


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [("abc", "abc", 0), ("abcd", "acbd", 1), ("abc", "ab", 1), ("ca", "abc", 3), ("", "ab", 2)],
)
def test_distance(one: str, other: str, apart: int) -> None:
    assert distance(one, other) == distance(other, one) == apart


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distance_is_bounded(one: str, other: str) -> None:
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))


def test_a_long_text_full_of_mistakes_costs_little(index: CardIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"qu{a}{b}xyzw{c}" for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh")
    assert sum(map(can_be_misspelt, text.split())) > 20 * MOST_WORDS
    looked_up = []
    monkeypatch.setattr(index, "_nearest", looked_up.append)
    index.prepare(Case(text))
    assert len(looked_up) == MOST_WORDS
