"""Tests shared across cards: when two checks are one, and how trees run through them."""

import pytest

from models.failure_card import DiagnosticNode, DiagnosticTree
from services.diagnosis.guided.catalogue import CONFIRMED, RULED_OUT, build, covers_of
from services.diagnosis.guided.identity import Limit, identity, limit_of, reading_says, sign_decides
from tests.services.diagnosis.guided_samples import chain, leaf, node


def named(question: str, action: str = "Measure at the battery posts") -> tuple[str, bool]:
    return identity(DiagnosticNode(node_id="x", step_number=1, question=question, check_action=action))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is the main 12 V battery terminal tight and clean?", "is main 12 V battery terminals tight and clean"),
        (
            "Is the resting spread between the cell groups below 50 mV?",
            "Is resting spread between cell groups under 50 millivolts?",
        ),
        ("Is the insulation to the vehicle chassis at least 1 MΩ?", "Is insulation to vehicle chassis above 1 MOhm?"),
    ],
)
def test_the_same_check_in_other_words(one: str, other: str):
    assert named(one) == named(other)


def test_asking_the_other_way_round_is_the_same_test_inverted():
    below = named("Is the resting spread between the cell groups below 50 mV?")
    above = named("Is the resting spread between the cell groups above 50 mV?")

    assert below[0] == above[0]
    assert (below[1], above[1]) == (False, True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Is the resting spread of the cell groups below 50 mV?",
            "Is the resting spread of the cell groups below 80 mV?",
        ),
        (
            "Is the front wheel speed above the rear wheel speed?",
            "Is the rear wheel speed above the front wheel speed?",
        ),
        # The opposite of two conditions is not both opposites.
        (
            "Is the spread below 30 mV at full and below 80 mV at ten?",
            "Is the spread above 30 mV at full and above 80 mV at ten?",
        ),
        ("Does the main contactor close when commanded on?", "Does the main contactor not close when commanded on?"),
    ],
)
def test_different_checks_stay_apart(one: str, other: str):
    assert named(one)[0] != named(other)[0]


def test_a_question_that_points_back_is_told_apart_by_what_is_done():
    question = "Does it still sag?"

    assert named(question, "Load the pack")[0] != named(question, "Load the 12 V battery")[0]
    assert named(question, "Load the pack") == named(question, "load the pack.")


def test_cards_share_tests():
    shared = "Is the resting spread between the cell groups below 50 mV?"
    catalogue = build({"a": leaf(shared), "b": chain("Does the battery warning lamp stay on?", shared), "c": None})

    test = catalogue.tests[catalogue.by_id[named(shared)[0]]]
    assert len(catalogue.tests) == 2
    assert [(place.card, place.node_id) for place in test.places] == [(0, "n1"), (1, "n2")]
    assert catalogue.routes[2].steps == ()


def test_expectation_is_the_share_of_confirming_paths():
    tree = DiagnosticTree(
        root_node_id="a",
        nodes=[
            node("a", "Is lamp one on?", if_yes="b", if_no="c"),
            node("b", "Is lamp two on?", leads_to_root_cause="One", hands_over_to="x"),
            node("c", "Is lamp three on?", if_yes="d", leads_to_root_cause="Two"),
            node("d", "Is lamp four on?", leads_to_root_cause="Three", hands_over_to="x"),
        ],
    )

    steps = {step.node_id: step for step in build({"card": tree}).routes[0].steps}

    assert steps["a"].expects == pytest.approx(1 / 3)
    assert steps["c"].expects == pytest.approx(1 / 2)
    assert (steps["b"].yes, steps["b"].no, steps["b"].expects) == (CONFIRMED, RULED_OUT, 1.0)
    # Both answers of c go on to a cause: neither speaks for another card.
    assert steps["c"].no == CONFIRMED


def test_the_answer_that_confirms_at_once_speaks_for_the_card():
    tree = DiagnosticTree(
        root_node_id="a",
        nodes=[
            node("a", "Is lamp one on?", if_no="b", leads_to_root_cause="One"),
            node("b", "Is lamp two on?", if_yes="c", if_no="d"),
            node("c", "Is lamp three on?", leads_to_root_cause="Two", hands_over_to="x"),
            node("d", "Is lamp four on?", if_yes="e", hands_over_to="x"),
            node("e", "Is lamp five on?", leads_to_root_cause="Three"),
        ],
    )

    steps = {step.node_id: step for step in build({"card": tree}).routes[0].steps}

    assert (steps["a"].expects, steps["a"].points_to) == (pytest.approx(1 / 4), 1.0)
    assert steps["b"].points_to == steps["b"].expects == pytest.approx(1 / 3)
    assert [steps[n].points_to for n in "cd"] == [1.0, 1.0]
    # Both answers confirm: neither tells more than the other.
    assert steps["e"].points_to == steps["e"].expects


def test_preparation_is_told_from_the_check():
    tree = leaf("Is the fuse open?", check_action="Isolate, open the junction box, measure", duration_minutes=20)

    [test] = build({"card": tree}).tests

    assert test.minutes == 10
    assert test.setups == {"open junction box": 10}
    assert covers_of("Remove the seat and take off the left trim") == ["seat", "trim"]
    assert covers_of("Read the open fault codes") == []


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Is the spread below 50 mV?", Limit(above=False, value=50, unit="mV")),
        ("Is the reading at least 1.5 MΩ?", Limit(above=True, value=1.5, unit="MΩ", included=True)),
        ("Is the drop no more than 0.2 V?", Limit(above=False, value=0.2, unit="V", included=True)),
        ("Is it below -30 °C?", Limit(above=False, value=-30, unit="°C")),
        ("Is the spread between highest and lowest group below 50 mV?", Limit(above=False, value=50, unit="mV")),
        ("Is the spread between cells below 30 mV and stable?", None),
        ("Is it below 3 V and above 1 V?", None),
        ("Is the fuse intact?", None),
        ("Is it above 5 frobs?", None),
    ],
)
def test_limits_are_read_from_the_question(question: str, expected: Limit | None):
    assert limit_of(question) == expected


@pytest.mark.parametrize(
    ("value", "unit", "says"),
    [
        (40, "mV", True),
        (0.04, "V", True),
        (0.06, "V", False),
        (60, "mV", False),
        (40, "A", None),
        (40, "furlong", None),
    ],
)
def test_a_reading_answers_the_question(value: float, unit: str, says: bool | None):
    assert reading_says(Limit(above=False, value=50, unit="mV"), value, unit) is says


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("Is the group voltage at least 2.5 V?", True),
        ("Is the group voltage no less than 2.5 V?", True),
        ("Is the group voltage at most 2.5 V?", True),
        ("Is the group voltage above 2.5 V?", False),
        ("Is the group voltage below 2.5 V?", False),
    ],
)
def test_a_reading_on_the_limit_itself(question: str, says: bool):
    limit = limit_of(question)
    assert limit is not None
    assert [reading_says(limit, 2.5, "V"), reading_says(limit, 2500, "mV")] == [says, says]


@pytest.mark.parametrize(
    ("question", "value", "unit", "doubtful"),
    [
        ("Is the pack voltage below 40 V?", -48, "V", True),
        ("Is the pack voltage above 40 V?", -48, "V", True),
        ("Is the drop at 10 A below 50 mV?", -20, "mV", False),
        ("Is the pack voltage below 40 V?", 48, "V", False),
        ("Does the pack take below -40 A?", -50, "A", False),
        ("Is the coolant below 5 °C?", -20, "°C", False),
        ("Is the pack voltage below 40 V?", -48, "furlongs", False),
    ],
)
def test_a_sign_that_swapped_probes_would_turn_is_in_doubt(question: str, value: float, unit: str, doubtful: bool):
    limit = limit_of(question)
    assert limit is not None
    assert sign_decides(limit, value, unit) is doubtful
