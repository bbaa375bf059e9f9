"""Personal data does not become knowledge; codes, readings and part numbers do."""

import pytest

from app import clock
from app.database import GuardedDatabase
from app.security import ActorKind
from models.enums import CustomerType, FailureMode, SubsystemCategory, TicketStatus
from models.failure_card import CardContent, CardSymptom, RequiredPart
from models.record import ActorRef
from models.ticket import StatusChange, Ticket
from services.knowledge.redaction import MARK, Redactor, redactor_for


@pytest.fixture
def ticket(store: GuardedDatabase) -> Ticket:
    return Ticket(
        title="Does not charge",
        customer_name="Rose Fernandes",
        customer_contact="rose.f@example.in",
        vehicle_number="MH 12 AB 1234",
        vehicle_make="Ather",
        vehicle_model="450X",
        status_history=[
            StatusChange(
                status=TicketStatus.open,
                timestamp=clock.now(),
                updated_by=ActorRef(kind=ActorKind.user, id="usr_1", name="Asha Rao"),
            )
        ],
    )


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Rose fernandes says it smells of a rose; Rose is right", f"{MARK} says it smells of a rose; {MARK} is right"),
        ("asha rao measured, then Asha called +91 98200 12345", f"{MARK} measured, then {MARK} called {MARK}"),
        ("call 98200-12345 or 022 2345 6789 before 18:00", f"call {MARK} or {MARK} before 18:00"),
        ("write to rose.f@example.in or x.y+z@mail.co.uk.", f"write to {MARK} or {MARK}."),
        ("mh12ab1234 came with DL-3C-AB-1234 and 22 BH 1234 AA", f"{MARK} came with {MARK} and {MARK}"),
        ("VIN 1HGCM82633A004352", f"VIN {MARK}"),
        ("Mr. Vikram Seth and Smt Lata spoke to Rahul Dev", f"Mr. {MARK} and Smt {MARK} spoke to {MARK}"),
        (
            "Customer Rajesh Kumar States it stops; owner Priya called",
            f"Customer {MARK} States it stops; owner {MARK} called",
        ),
        (
            "Her husband Ramesh saw sparks, neighbour Suresh Patil smelt them",
            f"Her husband {MARK} saw sparks, neighbour {MARK} smelt them",
        ),
    ],
)
def test_people_and_their_numbers_go(ticket: Ticket, written: str, kept: str):
    assert redactor_for(ticket).text(written) == kept


@pytest.mark.parametrize(
    "text",
    [
        "P0A80-16, U0100, SPN 520192 FMI 4, BMS_a079, 0x1A2B3C, C-1121 and E07 are stored",
        "3.31 V at group 7, 12.5 km, 18400 km, 2.4 MΩ, 1850.00, 45 °C, 2023-05-12, 10:42:07",
        "Ather 450X with firmware 7.1.0-rc2; part LS-20/4411-AB; Model S P100D, Tata Nexon EV Max",
        "Driver Seat and Driver Side Window do not move, Customer States; the customer Ather was told",
        "Her husband Says it pulls, the son Drives it; mother Board and sister Company were checked",
        "The name plate is loose. Battery management system restarted by itself.",
        "बैटरी चार्ज नहीं होती 电池无法充电 🔋",
        "",
    ],
)
def test_what_a_workshop_writes_stays(ticket: Ticket, text: str):
    redactor = redactor_for(ticket)
    assert redactor.text(text) == text
    assert not redactor.taken


def test_a_company_is_found_as_a_whole_and_its_words_stay(ticket: Ticket):
    fleet = ticket.model_copy(update={"customer_name": "Ather City Fleet", "customer_type": CustomerType.fleet})
    redactor = redactor_for(fleet, ["Vikram Seth"])
    assert redactor.text("ather city fleet: the Ather of Vikram left the City") == (
        f"{MARK}: the Ather of {MARK} left the City"
    )


def test_phone_numbers_belong_to_a_country():
    assert Redactor(region="DE").text("030 901820, 98200 12345") == f"{MARK}, 98200 12345"
    assert Redactor(region="IN").text("+49 30 901820") == MARK


def test_every_text_of_a_card_is_cleaned_and_its_codes_are_not(ticket: Ticket):
    card = CardContent(
        title="Asha Rao found the latch open",
        subsystem_category=SubsystemCategory.charger,
        failure_mode=FailureMode.open_circuit,
        symptoms=[CardSymptom(description="Rose hears a click", symptom_code="SYM_CHRG_001")],
        error_codes=["P0D26"],
        required_parts=[RequiredPart(part_name="Latch", part_number="9820012345")],
        tags=["asked by 98200 12345"],
    )
    redactor = redactor_for(ticket)
    clean = redactor.content(card)
    assert clean.title == f"{MARK} found the latch open"
    assert clean.symptoms[0].description == f"{MARK} hears a click"
    assert (clean.symptoms[0].symptom_code, clean.error_codes) == ("SYM_CHRG_001", ["P0D26"])
    assert clean.required_parts[0].part_number == "9820012345"
    assert clean.tags == [f"asked by {MARK}"]
    assert clean.model_fields_set == card.model_fields_set
    assert sum(redactor.taken.values()) == 3
