"""The starter knowledge as it is shipped, and what the reader says about files that break a rule."""

import re
from decimal import Decimal

import pytest
import yaml

from app.errors import Invalid
from models.enums import SubsystemCategory, VehicleType
from models.failure_card import CardContent
from seeds.starter import StarterKnowledge, load_starter
from services.knowledge.content import completed

STARTER = load_starter()
CARDS = [pytest.param(card, id=key) for key, card in STARTER.cards]

COVERED = set(SubsystemCategory) - set(
    "wheels body restraints lighting mechanical fuel_system engine other".split()  # noqa: SIM905 - reads as a list
)
"""What the starter knowledge speaks of; the rest comes from imports."""

CATALOGUE_FIELDS = {"vehicle_type", "make", "model", "variant", "battery_capacity_kwh", "nominal_voltage_v"}

OPENS_HIGH_VOLTAGE = re.compile(
    r"service disconnect|\borange (cable|connector)|isolate[sd]? the (high-voltage|hv)",
    re.IGNORECASE,
)
PROVES_DEAD = re.compile(r"prove[sd]?\b.{0,80}\bdead|dead.{0,40}\bprove|absence of voltage", re.IGNORECASE)
WAITS = re.compile(r"\bwait\b.{0,60}?(\d+|discharge time)", re.IGNORECASE)


def actions(card: CardContent) -> list[str]:
    """What the card tells a technician to do, sentence by sentence."""
    return [
        *(node.check_action for node in card.diagnostic_tree.nodes),
        *(step.action for step in card.verification_steps),
        *(f"{step.action}. {step.details}" for step in card.resolution_steps),
    ]


def warnings(card: CardContent) -> list[str]:
    return [
        *(warning for node in card.diagnostic_tree.nodes for warning in node.safety_warnings),
        *(step.safety_warning for step in card.verification_steps),
        *(warning for step in card.resolution_steps for warning in step.safety_warnings),
    ]


def test_there_is_enough_of_everything_for_a_start():
    assert len(STARTER.cards) >= 60
    assert len(STARTER.symptoms) >= 120
    assert len(STARTER.vehicles) >= 45
    assert {card.subsystem_category for _, card in STARTER.cards} >= COVERED
    for kind in VehicleType:
        assert sum(vehicle.vehicle_type is kind for _, vehicle in STARTER.vehicles) >= 10
        assert sum(any(named.vehicle_type is kind for named in card.vehicle_models) for _, card in STARTER.cards) >= 10


def test_loading_twice_gives_the_same():
    assert load_starter() == STARTER


def test_every_symptom_of_the_library_is_said_in_other_words_too():
    for symptom in STARTER.symptoms:
        said = [synonym.casefold() for synonym in symptom.synonyms]
        assert len(said) >= 4, symptom.symptom_code
        assert len(set(said)) == len(said), symptom.symptom_code


def test_every_vehicle_on_a_card_stands_in_the_catalogue():
    catalogue = {(vehicle.make, vehicle.model) for _, vehicle in STARTER.vehicles}
    named = {(vehicle.make, vehicle.model) for _, card in STARTER.cards for vehicle in card.vehicle_models}
    assert named <= catalogue


def test_catalogue_vehicles_are_models_and_not_vehicles_in_service():
    for key, vehicle in STARTER.vehicles:
        assert vehicle.model_fields_set <= CATALOGUE_FIELDS, key


@pytest.mark.parametrize("card", CARDS)
def test_a_card_is_whole(card):
    assert completed(card) == card
    assert card.universal_failure or card.vehicle_models
    for field in ("description", "symptom_text", "symptoms", "root_cause", "root_cause_details", "resolution_summary"):
        assert getattr(card, field), field
    assert len(card.resolution_steps) >= 4
    assert card.verification_steps
    assert card.failure_signature.signature_hash
    for steps in (card.resolution_steps, card.verification_steps, card.diagnostic_tree.nodes):
        assert [step.step_number for step in steps] == list(range(1, len(steps) + 1))


@pytest.mark.parametrize("card", CARDS)
def test_a_tree_asks_at_least_five_questions_and_can_confirm_and_rule_out(card):
    tree = card.diagnostic_tree
    assert 5 <= len(tree.nodes) <= 12
    assert tree.total_paths > len(tree.nodes) // 2
    assert tree.avg_path_length > 2
    assert any(node.leads_to_root_cause for node in tree.nodes)
    assert any(node.hands_over_to for node in tree.nodes)
    assert all(node.question.endswith("?") for node in tree.nodes)


@pytest.mark.parametrize("card", CARDS)
def test_costs_add_up(card):
    needed = [part for part in card.required_parts if not part.is_optional]
    assert card.estimated_parts_cost == sum((part.unit_cost * part.quantity for part in needed), Decimal(0))
    assert card.estimated_total_cost == card.estimated_parts_cost + card.estimated_labor_cost


@pytest.mark.parametrize("card", CARDS)
def test_work_on_high_voltage_is_never_told_without_proving_it_dead(card):
    if not any(OPENS_HIGH_VOLTAGE.search(action) for action in actions(card)):
        return
    tools = [tool for step in [*card.diagnostic_tree.nodes, *card.resolution_steps] for tool in step.tools_required]
    everything = " ".join([*actions(card), *warnings(card), *tools])
    assert any(PROVES_DEAD.search(warning) for warning in warnings(card))
    assert WAITS.search(everything)
    assert re.search(r"two-pole tester", everything, re.IGNORECASE)
    assert re.search(r"\bgloves\b", everything, re.IGNORECASE)


def test_the_safety_rule_meets_the_cards_it_is_meant_for():
    met = {key for key, card in STARTER.cards if any(OPENS_HIGH_VOLTAGE.search(action) for action in actions(card))}
    assert {"inverter-igbt-module-failed", "motor-resolver-signal-lost", "dcdc-no-output-car"} <= met
    assert len(met) >= 15


SYMPTOM = {"symptom_code": "SYM_MOTR_001", "name": "Hums", "category": "motor"}
TREE = {
    "root_node_id": "n1",
    "nodes": [
        {
            "node_id": "n1",
            "step_number": 1,
            "question": "Hums?",
            "check_action": "Listen",
            "leads_to_root_cause": "Hall",
        }
    ],
}
CARD = {
    "key": "a-card",
    "title": "A card",
    "subsystem_category": "motor",
    "failure_mode": "erratic",
    "symptoms": [{"symptom_code": "SYM_MOTR_001", "description": "Hums"}],
    "symptom_codes": ["SYM_MOTR_001"],
    "diagnostic_tree": TREE,
}
VEHICLE = {"key": "a-car", "vehicle_type": "four_wheeler", "make": "Tata", "model": "Nexon EV"}


@pytest.fixture
def write(tmp_path):
    """Writes a folder of starter knowledge; what is not given is sound."""

    def folder(symptoms=(SYMPTOM,), cards=(CARD,), vehicles=(VEHICLE,)):
        for name, entries in (("symptoms/s", symptoms), ("failure_cards/c", cards), ("vehicles", vehicles)):
            path = tmp_path / f"{name}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(entries if isinstance(entries, str) else yaml.safe_dump(list(entries)), encoding="utf-8")
        return tmp_path

    return folder


def faults_of(folder) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        load_starter(folder)
    faults = {fault["field"]: fault["rule"] for fault in caught.value.extra["errors"]}
    assert caught.value.detail == "\n".join(f"{field}: {rule}" for field, rule in faults.items())
    return faults


def test_a_sound_folder_is_read_in_order_of_its_files(write):
    folder = write()
    (folder / "failure_cards" / "a.yaml").write_text(yaml.safe_dump([CARD | {"key": "first"}]), encoding="utf-8")
    read = load_starter(folder)
    assert isinstance(read, StarterKnowledge)
    assert [key for key, _ in read.cards] == ["first", "a-card"]
    assert [key for key, _ in read.vehicles] == ["a-car"]
    assert [symptom.name for symptom in read.symptoms] == ["Hums"]


def test_the_tree_is_named_after_its_card(write):
    [(_, card)] = load_starter(write()).cards
    assert (card.diagnostic_tree.tree_id, card.diagnostic_tree.total_paths) == ("tree_a_card", 1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cards": [CARD | {"colour": "red"}]}, "failure_cards/c.yaml[1:a-card].colour"),
        ({"cards": [CARD, CARD]}, "failure_cards/c.yaml[2:a-card].key"),
        ({"cards": [CARD | {"key": "A Card"}]}, "failure_cards/c.yaml[1].key"),
        ({"cards": ["text"]}, "failure_cards/c.yaml[1].key"),
        ({"cards": "{key: a-card}"}, "failure_cards/c.yaml"),
        ({"cards": "- [unclosed"}, "failure_cards/c.yaml"),
        ({"symptoms": []}, "failure_cards/c.yaml[1:a-card].symptoms"),
        ({"cards": [CARD | {"symptom_codes": []}]}, "failure_cards/c.yaml[1:a-card].symptom_codes"),
        ({"cards": [CARD | {"error_codes": ["P9A01"]}]}, "failure_cards/c.yaml[1:a-card].error_codes.0"),
        ({"cards": [CARD | {"diagnostic_tree": None}]}, "failure_cards/c.yaml[1:a-card].diagnostic_tree"),
        (
            {"cards": [CARD | {"diagnostic_tree": TREE | {"root_node_id": "n9"}}]},
            "failure_cards/c.yaml[1:a-card].diagnostic_tree.root_node_id",
        ),
        ({"symptoms": [SYMPTOM, SYMPTOM]}, "symptoms/s.yaml[2:SYM_MOTR_001].symptom_code"),
        (
            {"symptoms": [SYMPTOM, SYMPTOM | {"symptom_code": "SYM_MOTR_002", "name": "HUMS"}]},
            "symptoms/s.yaml[2:SYM_MOTR_002].name",
        ),
        ({"vehicles": [VEHICLE | {"battery_capacity_kwh": -1}]}, "vehicles.yaml[1:a-car].battery_capacity_kwh"),
        ({"vehicles": [VEHICLE, VEHICLE]}, "vehicles.yaml[2:a-car].key"),
    ],
)
def test_a_fault_is_named_by_file_entry_and_field(write, changes, field):
    assert field in faults_of(write(**changes))


def test_all_faults_are_told_at_once(write):
    found = faults_of(write(cards=[CARD | {"colour": "red"}, CARD], vehicles=[{"key": "a-car"}]))
    assert len(found) == 5  # colour, the repeated key, and the three fields that a vehicle needs
