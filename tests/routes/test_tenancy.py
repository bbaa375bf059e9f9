"""Organisations, sites and vehicles: who sees what, and who may change it."""

import httpx
import pytest

from app.security import Role, acting_as, system
from models.account import Organisation
from models.vehicle import Vehicle
from tests.support import Api

VEHICLE = {"vehicle_type": "three_wheeler", "make": "Mahindra", "model": "Treo"}


class World:
    """Two fleets with a vehicle each, a vehicle without owner, and a model of the catalogue."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.other = Organisation(name="Fleet Two")
        fields = {"vehicle_type": "two_wheeler", "make": "Ather", "model": "450X"}
        self.vehicles = {
            "mine": Vehicle(**fields, organisation_id=api.organisation.id, registration="KA01A0001"),
            "theirs": Vehicle(**fields, organisation_id=self.other.id, registration="KA01A0002"),
            "nobody's": Vehicle(**fields),
            "model": Vehicle(**fields, is_catalogue=True),
        }

    async def set_up(self) -> None:
        with acting_as(system("test")):
            await self.other.insert()
            for vehicle in self.vehicles.values():
                await vehicle.insert()

    async def seen(self, client: httpx.AsyncClient, **query: object) -> set[str]:
        """Names of the vehicles in the list, each of which can be read by itself as well; the others cannot."""
        items = (await client.get("/api/vehicles", params=query)).json()["items"]
        listed = {item["vehicle_id"] for item in items}
        return {name for name, vehicle in self.vehicles.items() if vehicle.id in listed}

    async def readable(self, client: httpx.AsyncClient) -> set[str]:
        answers = {name: await client.get(f"/api/vehicles/{v.id}") for name, v in self.vehicles.items()}
        assert {answer.status_code for answer in answers.values()} <= {200, 404}
        return {name for name, answer in answers.items() if answer.status_code == 200}


@pytest.fixture
async def world(api: Api) -> World:
    world = World(api)
    await world.set_up()
    return world


EVERY = {"mine", "theirs", "nobody's", "model"}


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.technician, EVERY),
        (Role.expert, EVERY),
        (Role.admin, EVERY),
        (Role.service, EVERY),
        (Role.fleet_customer, {"mine", "model"}),
        (Role.oem, {"model"}),
        (Role.manufacturer, {"model"}),
    ],
)
async def test_vehicles_that_are_seen(world: World, role: Role, expected: set[str]):
    client = await world.api.as_role(role)

    assert await world.seen(client) == await world.readable(client) == expected
    assert await world.seen(client, catalogue=True) == {"model"}
    assert await world.seen(client, catalogue=False) == expected - {"model"}
    assert await world.seen(client, organisation_id=world.other.id) == expected & {"theirs"}


async def test_vehicle_filters(world: World):
    client = await world.api.as_role(Role.technician)

    assert await world.seen(client, make="Ather", model="450X") == EVERY
    assert await world.seen(client, make="Ather", model="Rizta") == set()
    assert await world.seen(client, registration="KA01A0001") == {"mine"}


async def test_a_customers_vehicle_belongs_to_its_organisation(world: World):
    client = await world.api.as_role(Role.fleet_customer)

    created = await client.post("/api/vehicles", json=VEHICLE)
    assert created.json()["organisation_id"] == world.api.organisation.id
    refused = await client.post("/api/vehicles", json=VEHICLE | {"organisation_id": world.other.id})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "organisation_id")


@pytest.mark.parametrize(
    ("role", "vehicle", "status"),
    [
        (Role.fleet_customer, "mine", 200),
        (Role.fleet_customer, "theirs", 404),
        (Role.fleet_customer, "model", 403),
        (Role.technician, "theirs", 200),
        (Role.technician, "model", 403),
        (Role.expert, "model", 200),
    ],
)
async def test_who_changes_which_vehicle(world: World, role: Role, vehicle: str, status: int):
    client = await world.api.as_role(role)

    answer = await client.put(f"/api/vehicles/{world.vehicles[vehicle].id}", json=VEHICLE, headers={"If-Match": '"1"'})

    assert answer.status_code == status
    with acting_as(system("test")):
        stored = await Vehicle.get(world.vehicles[vehicle].id)
    assert stored.make == ("Mahindra" if status == 200 else "Ather")


async def test_a_customer_knows_its_own_organisation_only(world: World):
    client = await world.api.as_role(Role.fleet_customer)

    listed = (await client.get("/api/organisations")).json()["items"]
    assert [entry["organisation_id"] for entry in listed] == [world.api.organisation.id]
    assert (await client.get(f"/api/organisations/{world.other.id}")).status_code == 404
    assert (await client.get(f"/api/sites/{world.api.site.id}")).status_code == 200


@pytest.mark.parametrize(
    ("path", "identifier", "body"),
    [
        ("/api/organisations", "organisation_id", {"name": "New"}),
        ("/api/sites", "site_id", {"name": "New", "city": "Pune"}),
    ],
)
async def test_keeping_the_directory(api: Api, path: str, identifier: str, body: dict[str, str]):
    admin = await api.as_role(Role.admin)
    created = await admin.post(path, json=body)
    one = f"{path}/{created.json()[identifier]}"

    assert (created.status_code, created.headers["ETag"]) == (201, '"1"')
    assert (await admin.post(path, json=body)).json()["errors"][0]["field"] == "name"
    changed = await admin.put(one, json=body | {"name": "Newer"}, headers={"If-Match": '"1"'})
    assert (changed.json()["name"], changed.headers["ETag"]) == ("Newer", '"2"')
    assert (await admin.put(one, json=body, headers={"If-Match": '"1"'})).status_code == 412
    taken = (await admin.get(path)).json()["items"][-1]["name"]
    clash = await admin.put(one, json=body | {"name": taken}, headers={"If-Match": '"2"'})
    assert (clash.status_code, clash.json()["code"]) == (409, "duplicate")
