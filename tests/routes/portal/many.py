"""More than anybody looks through."""

from app.security import acting_as, system
from models.account import Organisation, Site
from models.part import Part
from models.vehicle import Vehicle
from tests.support import Api


async def fill(api: Api, count: int) -> None:
    """So many vehicles, parts, workshops and organisations to choose from."""
    with acting_as(system("test")):
        fleet = [
            Vehicle(
                vehicle_type="two_wheeler",
                make="Ather",
                model="450X",
                registration=f"MH12AB{number:04}",
                organisation_id=api.organisation.id,
            )
            for number in range(count)
        ]
        await Vehicle.insert_many(fleet)
        parts = [
            Part(part_name=f"Relay {number}", part_number=f"RL-{number:04}", site_id=api.site.id, quantity_on_hand=3)
            for number in range(count)
        ]
        await Part.insert_many(parts)
        await Site.insert_many([Site(name=f"Branch {number:04}", city="Pune") for number in range(count)])
        await Organisation.insert_many([Organisation(name=f"Fleet {number:04}") for number in range(count)])
