"""The catalogue of vehicle models, as loaded from files. Reading and editing it is in `vehicles`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from app.database import in_transaction
from models.vehicle import Vehicle, VehicleContent
from services.writing import update


@dataclass(frozen=True, slots=True)
class CatalogueLoad:
    """How many models became what."""

    created: int
    updated: int
    unchanged: int


async def upsert_models(entries: Sequence[tuple[str, VehicleContent]]) -> CatalogueLoad:
    """Load models, each known by its key, in one transaction.

    A model that was loaded before changes only if what is loaded differs from what was loaded last: an expert's edits
    survive the loading of unchanged content.
    """
    contents = dict(entries)
    return await in_transaction(lambda: _upsert(contents))


async def _upsert(contents: dict[str, VehicleContent]) -> CatalogueLoad:
    stored = await Vehicle.find({"natural_key": {"$in": list(contents)}}).to_list()
    existing = {vehicle.natural_key: vehicle for vehicle in stored}
    fresh: list[Vehicle] = []
    updated = 0
    for key, content in contents.items():
        fingerprint = hashlib.blake2b(content.model_dump_json().encode(), digest_size=16).hexdigest()
        vehicle = existing.get(key)
        if vehicle is None:
            fresh.append(Vehicle(**dict(content), natural_key=key, is_catalogue=True, loaded_fingerprint=fingerprint))
        elif vehicle.loaded_fingerprint != fingerprint:
            await update(vehicle, dict(content) | {"loaded_fingerprint": fingerprint})
            updated += 1
    if fresh:
        await Vehicle.insert_many(fresh)
    return CatalogueLoad(created=len(fresh), updated=updated, unchanged=len(contents) - len(fresh) - updated)
