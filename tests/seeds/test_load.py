"""Loading the starter knowledge into a store, again and again."""

import asyncio
import io

import pytest
from rich.console import Console

from app.errors import Invalid
from models.enums import FailureCardStatus
from models.failure_card import CardContent, FailureCard
from models.symptom import Symptom, SymptomContent
from models.vehicle import Vehicle, VehicleContent
from seeds.load import Count, seed
from seeds.starter import StarterKnowledge, load_starter
from services.knowledge.content import completed
from services.writing import update

pytestmark = pytest.mark.usefixtures("store")

SYMPTOM = SymptomContent(symptom_code="SYM_MOTR_001", name="Hums", category="motor")
VEHICLE = VehicleContent(vehicle_type="four_wheeler", make="Tata", model="Nexon EV", variant="30.2 kWh")
CARD = completed(
    CardContent.model_validate(
        {
            "title": "Hall sensor open",
            "subsystem_category": "motor",
            "failure_mode": "open_circuit",
            "symptoms": [{"symptom_code": "SYM_MOTR_001", "description": "Hums"}],
        }
    )
)


def knowledge(symptom=SYMPTOM, vehicle=VEHICLE, card=CARD) -> StarterKnowledge:
    return StarterKnowledge([symptom], [("a-card", card)], [("a-car", vehicle)])


async def the_only(model):
    [found] = await model.find_all().to_list()
    return found


async def test_all_of_it_arrives_approved_and_a_second_time_changes_nothing():
    starter = load_starter()
    first = await seed(starter)
    assert first == {
        "symptoms": Count(created=len(starter.symptoms)),
        "vehicles": Count(created=len(starter.vehicles)),
        "failure cards": Count(created=len(starter.cards)),
    }
    before = {card.id: card for card in await FailureCard.find_all().to_list()}
    assert {card.natural_key for card in before.values()} == {key for key, _ in starter.cards}
    assert {card.status for card in before.values()} == {FailureCardStatus.approved}
    assert all(model.is_catalogue for model in await Vehicle.find_all().to_list())

    assert await seed(starter) == {kind: Count(unchanged=count.created) for kind, count in first.items()}
    assert {card.id: card for card in await FailureCard.find_all().to_list()} == before


async def test_only_what_the_files_changed_is_updated_in_place():
    await seed(knowledge())
    card, vehicle = await the_only(FailureCard), await the_only(Vehicle)
    counts = await seed(
        knowledge(
            SYMPTOM.model_copy(update={"synonyms": ["buzzes"]}),
            VEHICLE.model_copy(update={"battery_capacity_kwh": 30.2}),
            CARD.model_copy(update={"title": "Hall sensor of the motor open"}),
        )
    )
    assert set(counts) == {"symptoms", "vehicles", "failure cards"}
    assert all(count == Count(updated=1) for count in counts.values())
    assert (await the_only(Symptom)).synonyms == ["buzzes"]
    assert (await the_only(Vehicle)).id == vehicle.id
    assert (await the_only(Vehicle)).battery_capacity_kwh == 30.2
    renewed = await the_only(FailureCard)
    assert (renewed.id, renewed.version, renewed.title) == (card.id, 2, "Hall sensor of the motor open")


async def test_an_experts_change_of_the_catalogue_survives_until_the_file_says_something_new():
    await seed(knowledge())
    await update(await the_only(Vehicle), {"variant": "Prime"})
    assert (await seed(knowledge()))["vehicles"] == Count(unchanged=1)
    assert (await the_only(Vehicle)).variant == "Prime"
    await seed(knowledge(vehicle=VEHICLE.model_copy(update={"nominal_voltage_v": 320.0})))
    assert (await the_only(Vehicle)).variant == "30.2 kWh"


async def test_two_replicas_that_start_together_load_it_once():
    results = await asyncio.gather(seed(knowledge()), seed(knowledge()))
    assert sorted(result["failure cards"].created for result in results) == [0, 1]
    await the_only(FailureCard)


async def test_a_card_that_the_store_refuses_is_named():
    stray = CARD.model_copy(update={"symptom_codes": ["SYM_MOTR_999"]})
    with pytest.raises(Invalid, match=r"failure cards, a-card: .*SYM_MOTR_999"):
        await seed(knowledge(card=stray))
    assert await FailureCard.find_all().to_list() == []


async def test_progress_is_shown_where_it_is_asked_for():
    shown = io.StringIO()
    await seed(knowledge(), console=Console(file=shown, force_terminal=True, width=80))
    assert "failure cards" in shown.getvalue()
    assert "1/1" in shown.getvalue()
