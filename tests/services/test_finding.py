"""Finding by words, among thousands."""

import pytest

from models.vehicle import Vehicle
from services import finding

pytestmark = pytest.mark.usefixtures("as_system")
FIELDS = ("registration", "make", "model")
OWN = {"organisation_id": "org_1"}


def vehicle(number: int, organisation: str = "org_1", make: str = "Ather") -> Vehicle:
    return Vehicle(
        vehicle_type="two_wheeler",
        make=make,
        model="450X",
        registration=f"MH12AB{number:04}",
        organisation_id=organisation,
    )


async def found(words: str, *, limit: int = 5) -> list[str]:
    return [one.registration for one in await finding.containing(Vehicle, OWN, words, FIELDS, limit=limit)]


async def test_each_word_stands_in_any_field_in_any_order_and_case():
    fleet = [vehicle(number) for number in range(3000)]
    await Vehicle.insert_many([*fleet, vehicle(9000, "org_2"), vehicle(9001, make="Ola (Électrique) .*")])
    assert await found("ab 1234") == ["MH12AB1234"]
    assert await found("450x ATHER 0007 mh12") == ["MH12AB0007"]
    assert await found("électrique ola") == ["MH12AB9001"]
    assert await found("9000") == []  # of another organisation
    assert await found(".*") == ["MH12AB9001"]
    assert await found("[") == []


async def test_the_newest_come_first_and_no_more_than_asked_for():
    await Vehicle.insert_many([vehicle(number) for number in range(40)])
    assert await found("ather", limit=3) == await found("", limit=3) == ["MH12AB0039", "MH12AB0038", "MH12AB0037"]


async def test_long_questions_are_cut():
    await vehicle(1).insert()
    assert await found("mh12 ab 0001 ather 450x and what is beyond the fifth word") == ["MH12AB0001"]
