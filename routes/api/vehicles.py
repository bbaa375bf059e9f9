"""Vehicles in service, and the catalogue of models."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Query, Response
from pydantic import Field

from app.ids import Id
from models.enums import VehicleType
from models.types import Name
from models.vehicle import Vehicle, VehicleContent
from routes.api.deps import CurrentActor, IfMatch, PageQuery, etag
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.accounts import vehicles
from services.accounts.vehicles import VehicleFilter

router = api_router("/vehicles", tag="vehicles")


class VehicleOut(Out):
    vehicle_id: str = Field(validation_alias="id")
    vehicle_type: VehicleType
    make: str
    model: str
    variant: str
    year: int | None
    registration: str
    vin: str
    firmware: str
    battery_capacity_kwh: float | None
    nominal_voltage_v: float | None
    mileage_km: int | None
    organisation_id: str | None
    is_catalogue: bool = Field(description="A model, not a vehicle in service.")
    created_at: datetime
    updated_at: datetime


async def _load(vehicle_id: Annotated[Id, Path()], actor: CurrentActor) -> Vehicle:
    return await vehicles.get(vehicle_id, actor)


CurrentVehicle = Annotated[Vehicle, Depends(_load)]


async def _filter(
    organisation_id: Annotated[Id | None, Query()] = None,
    make: Annotated[Name | None, Query()] = None,
    model: Annotated[Name | None, Query()] = None,
    registration: Annotated[Name | None, Query()] = None,
    catalogue: Annotated[bool | None, Query(description="Only models, or only vehicles in service.")] = None,
) -> VehicleFilter:
    return VehicleFilter(organisation_id, make, model, registration, catalogue)


@router.post("", status_code=201, responses=problems(409))
async def create_vehicle(body: VehicleContent, actor: CurrentActor, response: Response) -> VehicleOut:
    """A fleet customer's vehicle belongs to its own organisation."""
    return _shown(await vehicles.create(body, actor), response)


@router.get("")
async def list_vehicles(
    page: PageQuery, actor: CurrentActor, wanted: Annotated[VehicleFilter, Depends(_filter)]
) -> PageOut[VehicleOut]:
    """Newest first. A customer sees its own organisation's vehicles and the catalogue."""
    return PageOut[VehicleOut].of(await vehicles.list_vehicles(wanted, actor, **page.as_arguments()))


@router.get("/{vehicle_id}", responses=problems(404))
async def get_vehicle(vehicle: CurrentVehicle, response: Response) -> VehicleOut:
    return _shown(vehicle, response)


@router.put("/{vehicle_id}", responses=problems(404, 409, 412, 428))
async def replace_vehicle(
    vehicle: CurrentVehicle, body: VehicleContent, actor: CurrentActor, revision: IfMatch, response: Response
) -> VehicleOut:
    """Only experts change the catalogue."""
    return _shown(await vehicles.replace(vehicle, body, actor, revision=revision), response)


def _shown(vehicle: Vehicle, response: Response) -> VehicleOut:
    etag(response, vehicle.revision)
    return VehicleOut.model_validate(vehicle)
