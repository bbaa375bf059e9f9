"""Firmware versions: which is newer, which a card speaks of, and which the field reports."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import clock
from models.governance import CardHealth, FirmwareSighting
from services.knowledge import learning

ESTABLISHED = 3
"""Tickets that must report a firmware before a card is called outdated by it: one may be a slip of the pen."""
_NUMBERS = re.compile(r"\d+")
_VERSION = re.compile(r"\bv?\d+(?:\.\d+)+\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A firmware that enough tickets report for a model, and since when."""

    model: str
    firmware: str
    established_at: datetime


def newer(one: str, other: str) -> bool:
    """Whether `one` is a later version than `other`: numbers are compared from the left, 4.10 is after 4.9.

    False where the letters differ (BMS-2.1 says nothing about MCU-1.9), and where either holds no number.
    """
    (letters, numbers), (other_letters, other_numbers) = _parsed(one), _parsed(other)
    return letters == other_letters and bool(numbers and other_numbers) and numbers > other_numbers


def newer_than_all(firmware: str, known: Iterable[str]) -> bool:
    """Whether the version is later than every known one; False if nothing is known."""
    versions = list(known)
    return bool(versions) and all(newer(firmware, one) for one in versions)


def _parsed(version: str) -> tuple[str, tuple[int, ...]]:
    text = version.strip().lower()
    text = text[1:] if re.match(r"v\d", text) else text
    numbers = [int(number) for number in _NUMBERS.findall(text)]
    while len(numbers) > 1 and numbers[-1] == 0:  # 4.2 and 4.2.0 are one version
        numbers.pop()
    return re.sub(r"[^a-z]", "", text), tuple(numbers)


def model_key(make: str, model: str) -> str:
    """The key of a vehicle model, `make|model` in lower case, as in the ledger's variants."""
    return learning.variant_of(make, model, None).rpartition("|")[0]


def stated(card: Mapping[str, Any]) -> dict[str, set[str]]:
    """The firmware versions that a stored card names, by vehicle model.

    Versions in a failure condition about firmware count for every model of the card.
    """
    general = {
        found
        for condition in card.get("failure_conditions", ())
        if "firmware" in condition["condition"].lower()
        for found in _VERSION.findall(condition["value"])
    }
    versions: dict[str, set[str]] = {}
    for vehicle in card.get("vehicle_models", ()):
        if vehicle["model"]:
            own = {one for one in vehicle.get("firmware_versions", ()) if one} | general
            versions.setdefault(model_key(vehicle["make"], vehicle["model"]), set()).update(own)
    return {model: own for model, own in versions.items() if own}


async def see(make: str, model: str, firmware: str) -> bool:
    """Note that a ticket reports this firmware; cards that name other ones are looked at again once it is established.

    Returns whether it has just become so. Belongs in a transaction with a receipt: it counts.
    """
    key = model_key(make, model)
    collection = FirmwareSighting.get_pymongo_collection()
    identifier = f"{key}|{' '.join(firmware.split()).lower()}"
    now = clock.now()
    await collection.update_one(
        {"_id": identifier},
        {
            "$inc": {"tickets": 1, "revision": 1},
            "$set": {"updated_at": now},
            "$setOnInsert": {"model": key, "firmware": firmware, "created_at": now},
        },
        upsert=True,
    )
    seen = await FirmwareSighting.find_one({"_id": identifier})
    if seen is None or seen.tickets < ESTABLISHED or seen.established_at is not None:
        return False
    await collection.update_one({"_id": identifier}, {"$set": {"established_at": now}, "$inc": {"revision": 1}})
    await CardHealth.get_pymongo_collection().update_many(
        {"firmware_models": key}, {"$set": {"check_at": now}, "$inc": {"revision": 1}}
    )
    return True


async def sightings(models: Iterable[str]) -> dict[str, list[Sighting]]:
    """What is established for these models (keys)."""
    found: dict[str, list[Sighting]] = {}
    wanted = sorted(set(models))
    rows = await FirmwareSighting.find({"model": {"$in": wanted}}).to_list() if wanted else []
    for row in rows:
        if row.established_at is not None:
            found.setdefault(row.model, []).append(Sighting(row.model, row.firmware, row.established_at))
    return found
