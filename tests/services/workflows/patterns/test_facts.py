"""What tickets share, and the draft that follows from it."""

from datetime import timedelta
from typing import Any

import pytest

from app import clock
from models.enums import FailureMode, Priority, Severity, SubsystemCategory, TicketCategory
from models.incident import Incident, IncidentStatistic
from models.symptom import Symptom
from models.ticket import Ticket
from services.workflows.patterns.facts import draft, shared_facts, title_of

pytestmark = pytest.mark.usefixtures("store")
STATISTIC = IncidentStatistic(
    vehicles=6,
    window_days=30,
    earlier_vehicles=0,
    baseline_days=365,
    expected=0.8,
    chance=1e-5,
    scope="ather 450x",
    explanation="6 vehicles where 0.8 were expected.",
)


def ticket(text: str = "hissing sound while charging", **fields: Any) -> Ticket:
    title, _, description = text.partition(". ")
    made = {"vehicle_make": "Ather", "vehicle_model": "450X", **fields}
    return Ticket(title=title, description=description, **made)


def symptom() -> Symptom:
    return Symptom(symptom_code="SYM_CHRG_001", name="Charging stops early", category=SubsystemCategory.charger)


def nothing_known(_: str) -> bool:
    return False


async def test_words_of_half_the_tickets_are_shared_and_neighbours_stay_together():
    told = [ticket(f"hissing sound from the charger, {extra}") for extra in ("a", "blinks", "b", "c")]
    facts = shared_facts([*told, ticket("fan hissing"), ticket("fan stuck")], [], nothing_known)
    assert "hissing sound" in facts.terms
    assert not {"fan", "blinks", "stuck"} & set(facts.terms)
    assert title_of(facts).endswith(": Ather 450X")


async def test_a_word_of_one_vehicle_is_not_shared_however_often_it_is_written():
    told = [ticket("wobble at the bearing", vehicle_id="veh_1") for _ in range(5)]
    assert shared_facts(told, [], nothing_known).terms == []


async def test_an_unknown_word_is_shared_only_if_it_is_written_small():
    small = [ticket("the zorbel squeaks") for _ in range(4)]
    assert "zorbel" in " ".join(shared_facts(small, [], nothing_known).terms)
    as_name = [ticket("the Zorbel squeaks") for _ in range(4)]
    assert "zorbel" not in " ".join(shared_facts(as_name, [], nothing_known).terms)
    assert "zorbel" in " ".join(shared_facts(as_name, [], lambda term: term == "zorbel").terms), "cards use it"


async def test_vehicles_with_their_years_and_firmware_and_no_single_one():
    told = [ticket(vehicle_year=2021 + n % 3, vehicle_firmware="5.0" if n else "4.1") for n in range(4)]
    told += [ticket(vehicle_model="Rizta"), ticket(vehicle_make="")]
    (vehicle,) = shared_facts(told, [], nothing_known).vehicles
    assert (vehicle.model, vehicle.year_from, vehicle.year_to, vehicle.tickets) == ("450X", 2021, 2023, 4)
    assert vehicle.firmware_versions == ["5.0"]


async def test_codes_symptoms_circumstances_mileage_sites_and_period():
    now = clock.now()
    told = [
        ticket(
            f"hissing while charging uphill {'P0AA6' if n < 2 else ''}",
            error_codes_reported=["P1B01"] if n else [],
            symptom_codes=["SYM_CHRG_001", "SYM_GONE_001"],
            vehicle_mileage_km=1000 * n,
            site_id=f"site_{n % 2}",
            created_at=now - timedelta(days=n),
        )
        for n in range(4)
    ]
    facts = shared_facts(told, [symptom()], nothing_known)
    assert {(code.value, code.tickets) for code in facts.codes} == {("P1B01", 3), ("P0AA6", 2)}
    assert [(one.symptom_code, one.tickets) for one in facts.symptoms] == [("SYM_CHRG_001", 4)]
    assert {"load: under load", "load: charging"} <= {one.value for one in facts.conditions}
    assert (facts.mileage_km_from, facts.mileage_km_to) == (0, 3000)
    assert facts.site_ids == ["site_0", "site_1"]
    assert facts.last_ticket_at - facts.first_ticket_at == timedelta(days=3)


async def test_the_draft_says_what_is_shared_and_nothing_of_the_cause():
    told = [
        ticket(
            "hissing now and then, charger overheats sometimes",
            category=TicketCategory.charging,
            priority=Priority.high if n else Priority.low,
            vehicle_firmware="5.0",
        )
        for n in range(4)
    ]
    facts = shared_facts(told, [], nothing_known)
    incident = Incident(title=title_of(facts), ticket_count=4, facts=facts, statistic=STATISTIC)
    content = draft(incident, told, [])
    assert content.title == f"[DRAFT] {incident.title}"
    assert (content.root_cause, content.resolution_steps[0].action) == ("Under investigation", "Resolution pending")
    assert (content.subsystem_category, content.severity) == (SubsystemCategory.charger, Severity.high)
    assert STATISTIC.explanation in content.description
    assert content.source_reference == f"Incident {incident.id}"
    assert {one.condition for one in content.failure_conditions} >= {"firmware version", "occurrence"}
    assert content.vehicle_models[0].firmware_versions == ["5.0"]
    assert content.failure_mode in (FailureMode.overheating, FailureMode.intermittent, FailureMode.complete_failure)


async def test_symptoms_of_the_library_decide_the_subsystem():
    told = [ticket(category=TicketCategory.motor, symptom_codes=["SYM_CHRG_001"]) for _ in range(3)]
    facts = shared_facts(told, [symptom()], nothing_known)
    incident = Incident(title=title_of(facts), ticket_count=3, facts=facts, statistic=STATISTIC)
    content = draft(incident, told, [symptom()])
    assert content.subsystem_category is SubsystemCategory.charger
    assert content.symptoms[0].symptom_code == "SYM_CHRG_001"


async def test_tickets_without_a_word_in_common_still_have_a_title():
    facts = shared_facts([ticket("abc", vehicle_make=""), ticket("xyz", vehicle_make="")], [], nothing_known)
    assert title_of(facts) == "Unexplained tickets"
