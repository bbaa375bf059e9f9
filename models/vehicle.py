"""Vehicles under care."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import Id, new_id
from models.enums import VehicleType
from models.record import Record
from models.types import Kilometres, Line, ModelYear, Name, Strict


class VehicleContent(Strict):
    vehicle_type: VehicleType
    make: Line
    model: Line
    variant: Name = ""
    year: ModelYear | None = None
    registration: Name = ""
    vin: Annotated[str, Field(pattern=r"^([A-HJ-NPR-Z0-9]{11,17})?$", description="17 characters as a rule.")] = ""
    firmware: Name = ""
    battery_capacity_kwh: Annotated[float, Field(gt=0, le=1000)] | None = None
    nominal_voltage_v: Annotated[float, Field(gt=0, le=2000)] | None = None
    mileage_km: Kilometres | None = None
    organisation_id: Id | None = None


class Vehicle(Record, VehicleContent):
    """A vehicle, or, without registration, a model of the catalogue (`is_catalogue`)."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("vehicle"))
    natural_key: str | None = Field(default=None, description="Set by loaders, so that loading again updates.")
    loaded_fingerprint: str | None = Field(
        default=None, description="Hash of what was last loaded: the same again changes nothing, nor undoes an edit."
    )
    is_catalogue: bool = False

    class Settings(Record.Settings):
        name = "vehicles"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("organisation_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("is_catalogue", ASCENDING), ("make", ASCENDING), ("model", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("make", ASCENDING), ("model", ASCENDING), ("_id", DESCENDING)]),
            IndexModel(
                [("registration", ASCENDING)],
                unique=True,
                partialFilterExpression={"registration": {"$gt": ""}},
            ),
            IndexModel(
                [("natural_key", ASCENDING)],
                unique=True,
                partialFilterExpression={"natural_key": {"$type": "string"}},
            ),
        ]
