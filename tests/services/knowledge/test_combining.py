import pytest

from app.errors import Invalid
from models.failure_card import CardContent
from services.knowledge.combining import FIELDS, LISTS, SINGLE, TEXTS, combined, joined
from tests.services.knowledge.samples import a_card

OTHER = {
    "title": "[DRAFT] One group ends the charge",
    "description": "Seen twice in the rain.",
    "symptom_text": "Charger goes green at 80 %",
    "error_codes": ["P0A80", "P1B01"],
    "root_cause": "The bleed resistor of a group is open",
    "severity": "critical",
    "resolution_steps": [
        {"step_number": 1, "action": "replace the  balancing board"},
        {"step_number": 2, "action": "Balance the pack overnight"},
    ],
    "required_parts": [{"part_name": "Balancing board", "part_number": "BMS-16"}],
    "vehicle_models": [{"make": "ATHER", "model": "450x"}, {"make": "Ola", "model": "S1"}],
    "tags": ["charging"],
}


def test_every_field_of_the_content_can_be_taken_but_the_derived_signature():
    assert set(FIELDS) == set(CardContent.model_fields) - {"failure_signature"}
    assert len(FIELDS) == len(set(FIELDS)) == len(SINGLE) + len(TEXTS) + len(LISTS)


def test_nothing_is_taken_that_was_not_asked_for():
    kept = a_card()
    assert combined(kept, a_card(**OTHER), []) == kept


def test_lists_are_united_texts_stand_below_each_other_and_single_values_are_replaced():
    taken = combined(
        a_card(),
        a_card(**OTHER),
        ["error_codes", "vehicle_models", "resolution_steps", "required_parts", *TEXTS, "severity"],
    )
    assert taken.error_codes == ["P0A80", "P1B01"]
    assert [(one.make, one.model) for one in taken.vehicle_models] == [("Ather", "450X"), ("Ola", "S1")]
    assert [(step.step_number, step.action) for step in taken.resolution_steps] == [
        (1, "Replace the balancing board"),
        (2, "Balance the pack overnight"),
    ]
    assert [part.part_number for part in taken.required_parts] == ["BMS-16"]
    assert taken.root_cause == "The balancing resistor of a cell group is open\n\nThe bleed resistor of a group is open"
    assert taken.description == "Seen twice in the rain."
    assert taken.symptom_text == "Battery does not charge beyond 80 %\n\nCharger goes green at 80 %"
    assert taken.severity == "critical"
    assert taken.title == a_card().title


def test_a_title_that_is_taken_loses_the_mark_of_a_draft():
    assert combined(a_card(), a_card(**OTHER), ["title"]).title == "One group ends the charge"


def test_years_of_one_model_stay_apart():
    old = a_card(vehicle_models=[{"make": "Ather", "model": "450X", "year_from": 2020, "year_to": 2021}])
    new = a_card(vehicle_models=[{"make": "Ather", "model": "450X", "year_from": 2023}])
    assert [one.year_from for one in combined(old, new, ["vehicle_models"]).vehicle_models] == [2020, 2023]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a", ""], "a"),
        (["", "b"], "b"),
        (["The fuse blew.", "the  fuse blew."], "The fuse blew."),
        (["fuse", "The fuse blew."], "The fuse blew."),
        (["one", "two"], "one\n\ntwo"),
    ],
)
def test_texts_are_joined_without_saying_anything_twice(texts: list[str], expected: str):
    assert joined(texts) == expected


def test_what_cannot_be_taken_or_grows_too_long_is_refused():
    with pytest.raises(Invalid, match="take: can hold title, subsystem"):
        combined(a_card(), a_card(), ["failure_signature"])
    many = [{"condition": f"c{n}"} for n in range(40)]
    with pytest.raises(Invalid) as caught:
        combined(
            a_card(failure_conditions=many),
            a_card(failure_conditions=[{"condition": f"d{n}"} for n in range(40)]),
            ["failure_conditions"],
        )
    assert caught.value.extra["errors"][0]["field"] == "failure_conditions"
