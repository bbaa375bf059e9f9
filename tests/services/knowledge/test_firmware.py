import pytest

from models.governance import CardHealth, FirmwareSighting
from services.knowledge import firmware
from services.knowledge.firmware import ESTABLISHED, newer, newer_than_all, stated


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("4.10", "4.9", True),
        ("4.9", "4.10", False),
        ("v4.2.1", "4.2", True),
        ("4.2.0", "4.2", False),
        ("V5", "4.9.9", True),
        ("BMS-2.1", "BMS-1.9", True),
        ("BMS-2.1", "MCU-1.9", False),
        ("release", "4.2", False),
        ("4.2", "", False),
    ],
)
def test_which_version_is_newer(one: str, other: str, expected: bool):
    assert newer(one, other) is expected


def test_nothing_is_newer_than_what_nobody_knows():
    assert not newer_than_all("9.9", [])
    assert newer_than_all("4.3", ["4.1", "4.2"])
    assert not newer_than_all("4.3", ["4.1", "4.4"])


def test_what_a_card_states():
    card = {
        "vehicle_models": [
            {"make": "Ather", "model": "450X", "firmware_versions": ["4.1", ""]},
            {"make": "Ola", "model": "S1", "firmware_versions": []},
            {"make": "Bajaj", "model": "", "firmware_versions": ["1.0"]},
        ],
        "failure_conditions": [
            {"condition": "BMS firmware", "value": "below 4.2.1"},
            {"condition": "ambient temperature", "value": "above 40.5"},
        ],
    }
    assert stated(card) == {"ather|450x": {"4.1", "4.2.1"}, "ola|s1": {"4.2.1"}}
    assert stated({"vehicle_models": card["vehicle_models"][1:2], "failure_conditions": []}) == {}


async def test_a_firmware_is_established_by_several_tickets_and_wakes_the_cards_of_its_model(as_system):
    await CardHealth(id="fc_1", firmware_models=["ather|450x"]).insert()
    await CardHealth(id="fc_2", firmware_models=["ola|s1"]).insert()
    told = [await firmware.see("Ather ", "450X", "4.3") for _ in range(ESTABLISHED + 1)]
    assert told == [False] * (ESTABLISHED - 1) + [True, False]
    await firmware.see("Ather", "450X", "4.4")
    [seen] = (await firmware.sightings(["ather|450x", "ola|s1"]))["ather|450x"]
    assert seen.firmware == "4.3"
    assert (await FirmwareSighting.find_one({"_id": "ather|450x|4.3"})).tickets == ESTABLISHED + 1
    woken = {row.id for row in await CardHealth.find().to_list() if row.check_at is not None}
    assert woken == {"fc_1"}
