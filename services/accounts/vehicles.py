"""Vehicles in service and the catalogue of models.

Who sees what: those who work in or for the workshops see every vehicle, because any may roll in at any site; a fleet
customer sees those of its own organisation; everybody sees the catalogue.
"""

from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.errors import Duplicate, Forbidden, Invalid, NotFound, Stale
from app.security import Actor, Role
from models.account import Organisation
from models.vehicle import Vehicle, VehicleContent
from services.finding import containing
from services.paging import Page, page
from services.writing import update

_SEES_ALL = (Role.technician, Role.expert, Role.admin, Role.service)


@dataclass(frozen=True, slots=True)
class VehicleFilter:
    """What to list; None asks for everything."""

    organisation_id: str | None = None
    make: str | None = None
    model: str | None = None
    registration: str | None = None
    is_catalogue: bool | None = None

    def query(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in fields.items() if value is not None}


def visible(actor: Actor) -> dict[str, Any]:
    """The filter for the vehicles that this actor may see."""
    if actor.has(*_SEES_ALL):
        return {}
    if actor.organisation_id is not None and actor.has(Role.fleet_customer):
        return {"$or": [{"organisation_id": actor.organisation_id}, {"is_catalogue": True}]}
    return {"is_catalogue": True}


async def create(content: VehicleContent, actor: Actor) -> Vehicle:
    """Raises Invalid for an organisation that does not exist or is not the customer's own, Duplicate for a
    registration that is known."""
    content = await _checked(content, actor)
    vehicle = Vehicle(**content.model_dump())
    try:
        await vehicle.insert()
    except DuplicateKeyError:
        raise _registration_taken(content.registration) from None
    return vehicle


async def get(vehicle_id: str, actor: Actor) -> Vehicle:
    """Raises NotFound, also for what the actor may not see."""
    vehicle = await Vehicle.find_one({"$and": [{"_id": vehicle_id}, visible(actor)]})
    if vehicle is None:
        raise NotFound.of("vehicle", vehicle_id)
    return vehicle


async def list_vehicles(
    wanted: VehicleFilter, actor: Actor, *, limit: int = 50, after: str | None = None
) -> Page[Vehicle]:
    query = {"$and": [wanted.query(), visible(actor)]}
    return await page(Vehicle, query, limit=limit, after=after)


async def search(words: str, actor: Actor, *, limit: int) -> list[Vehicle]:
    """Vehicles in service that the actor may see and whose registration, make or model hold every word, newest first;
    without words any."""
    own = {} if actor.has(*_SEES_ALL) else {"organisation_id": actor.organisation_id}
    return await containing(
        Vehicle, {"is_catalogue": False, **own}, words, ("registration", "make", "model"), limit=limit
    )


async def replace(vehicle: Vehicle, content: VehicleContent, actor: Actor, *, revision: int) -> Vehicle:
    """Raises Stale unless `revision` is the current one; else as `create`. The catalogue belongs to the curators."""
    if vehicle.is_catalogue and not actor.has(Role.expert, Role.admin):
        raise Forbidden("The catalogue is kept by experts.")
    if vehicle.revision != revision:
        raise Stale("Somebody else changed this vehicle; read it again.")
    content = await _checked(content, actor)
    try:
        return await update(vehicle, content.model_dump())
    except DuplicateKeyError:
        raise _registration_taken(content.registration) from None


async def _checked(content: VehicleContent, actor: Actor) -> VehicleContent:
    if not actor.has(*_SEES_ALL):
        if content.organisation_id not in (None, actor.organisation_id):
            raise Invalid.field("organisation_id", "must be your own organisation", content.organisation_id)
        return content.model_copy(update={"organisation_id": actor.organisation_id})
    organisation_id = content.organisation_id
    if organisation_id is not None and await Organisation.find_one({"_id": organisation_id}) is None:
        raise Invalid.field("organisation_id", "there is no such organisation", organisation_id)
    return content


def _registration_taken(registration: str) -> Duplicate:
    return Duplicate(
        f"A vehicle with the registration {registration!r} is known already.",
        errors=[{"field": "registration", "rule": "must be unique, and this value is taken", "value": registration}],
    )
