"""Tickets over HTTP: the whole way, and every refusal as a problem document."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.security import Role, acting_as, system
from models.account import Organisation, Site
from models.enums import FailureMode, SubsystemCategory, VehicleType
from models.failure_card import FailureCard
from models.vehicle import Vehicle
from tests.support import Api

TICKET = {"title": "Stops charging at 80 %", "error_codes_reported": ["p0a7e"], "vehicle_make": "Ather"}


@pytest.fixture
async def technician(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.technician)


async def create(client: httpx.AsyncClient, **fields) -> dict:
    answer = await client.post("/api/tickets", json=TICKET | fields)
    assert answer.status_code == 201, answer.text
    return answer.json() | {"etag": answer.headers["ETag"]}


async def move(client: httpx.AsyncClient, ticket: dict, verb: str, **body) -> httpx.Response:
    return await client.post(f"/api/tickets/{ticket['ticket_id']}/{verb}", json=body)


async def test_the_whole_way(api: Api, technician):
    me = (await technician.get("/api/auth/me")).json()
    with acting_as(system("test")):
        card = await FailureCard(
            title="Thermistor open", subsystem_category=SubsystemCategory.bms, failure_mode=FailureMode.open_circuit
        ).insert()
    ticket = await create(technician)
    assert (ticket["status"], ticket["site_id"], ticket["error_codes_reported"]) == ("open", api.site.id, ["P0A7E"])

    assigned = await move(technician, ticket, "assign", technician_id=me["user_id"])
    assert assigned.json()["assigned_technician_name"] == me["name"]
    for status in ("in_progress", "pending_parts", "in_progress"):
        answer = await move(technician, ticket, "progress", status=status, note="as planned")
        assert answer.json()["status"] == status
    resolved = await move(
        technician,
        ticket,
        "resolve",
        resolution="Replaced the thermistor",
        selected_failure_card=card.id,
        labor_hours=1.5,
        labor_cost="450.10",
        customer_satisfaction=5,
    )
    assert resolved.status_code == 200
    body = resolved.json()
    assert (body["selected_failure_card"], body["actual_cost"], body["labor_cost"]) == (card.id, "450.10", "450.10")
    assert (await move(technician, ticket, "close")).json()["closed_at"] is not None
    reopened = (await move(technician, ticket, "reopen", reason="Same again")).json()
    assert (reopened["status"], reopened["revisit_count"]) == ("in_progress", 1)

    path = f"/api/tickets/{ticket['ticket_id']}"
    history = (await technician.get(f"{path}/history")).json()["items"]
    assert [entry["status"] for entry in history] == [
        "open", "in_progress", "pending_parts", "in_progress", "resolved", "closed", "in_progress",
    ]  # fmt: skip
    assert {entry["updated_by"]["id"] for entry in history} == {me["user_id"]}
    first = (await technician.get(f"{path}/events", params={"limit": 1})).json()
    assert first["items"][0]["event_type"] == "ticket.in_progress"
    assert first["items"][0]["data"]["revisit"] is True
    assert first["next"]


async def test_an_illegal_move_names_the_legal_ones(technician):
    ticket = await create(technician)
    answer = await move(technician, ticket, "resolve", resolution="Done")
    problem = answer.json()
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["current"], problem["wanted"]) == ("illegal_move", "open", "resolved")
    assert problem["legal"] == ["in_progress"]
    assert problem["legal_moves"] == [{"move": "progress", "to": "in_progress"}]


async def test_editing_needs_the_edition_that_was_read(technician):
    ticket = await create(technician)
    path = f"/api/tickets/{ticket['ticket_id']}"
    change = {"priority": "critical", "vehicle_mileage_km": 18_250}

    assert (await technician.patch(path, json=change)).status_code == 428
    assert (await technician.patch(path, json=change, headers={"If-Match": "x"})).status_code == 400
    edited = await technician.patch(path, json=change, headers={"If-Match": ticket["etag"]})
    assert (edited.json()["priority"], edited.json()["vehicle_make"]) == ("critical", "Ather")
    assert (await technician.patch(path, json=change, headers={"If-Match": ticket["etag"]})).status_code == 412
    emptied = await technician.patch(path, json={"vehicle_mileage_km": None}, headers={"If-Match": '"2"'})
    assert emptied.json()["vehicle_mileage_km"] is None
    refused = await technician.patch(path, json={"title": None}, headers={"If-Match": '"3"'})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "title")


async def test_a_move_may_insist_on_what_was_read(technician):
    ticket = await create(technician)
    path = f"/api/tickets/{ticket['ticket_id']}/progress"
    body = {"status": "in_progress"}
    assert (await technician.post(path, json=body, headers={"If-Match": '"7"'})).status_code == 412
    assert (await technician.post(path, json=body, headers={"If-Match": ticket["etag"]})).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": "ab"}, "title"),
        ({"title": "Brakes", "colour": "red"}, "colour"),
        ({"title": "Brakes", "vehicle_year": "soon"}, "vehicle_year"),
        ({"title": "Brakes", "description": "x" * 20_001}, "description"),
        ({"title": "Brakes", "error_codes_reported": ["P9999"]}, "error_codes_reported.0"),
        ({"title": "Brakes", "vehicle_id": "veh_unknown"}, "vehicle_id"),
        ({"title": "Brakes", "organisation_id": "org_unknown"}, "organisation_id"),
        ({"title": "Brakes", "estimated_cost": "12.345"}, "estimated_cost"),
        ({"title": "Brakes", "description": "a\u0000b"}, "description"),
    ],
)
async def test_bad_input_names_the_field_and_writes_nothing(technician, body, field):
    answer = await technician.post("/api/tickets", json=body)
    assert answer.status_code == 422
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert (await technician.get("/api/tickets")).json()["items"] == []


@pytest.mark.parametrize("moment", ["2026-01-01T10:00:00", "yesterday", "0001-01-01T00:00:00Z"])
async def test_impossible_times_are_refused(technician, moment):
    answer = await technician.get("/api/tickets", params={"since": moment})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "since")


async def test_filters(api: Api, technician):
    wanted = await create(technician, vehicle_model="450X", priority="high", category="charging")
    await create(technician, vehicle_make="Ola")
    me = (await technician.get("/api/auth/me")).json()
    await move(technician, wanted, "assign", technician_id=me["user_id"])
    for params in (
        {"make": "Ather", "model": "450X"},
        {"priority": "high", "category": "charging", "status": "open", "site_id": api.site.id},
        {"mine": "true"},
        {"technician_id": me["user_id"], "until": datetime(2100, 1, 1, tzinfo=UTC).isoformat()},
    ):
        found = (await technician.get("/api/tickets", params=params)).json()
        assert [ticket["ticket_id"] for ticket in found["items"]] == [wanted["ticket_id"]], params


async def test_tenancy(api: Api, technician):
    with acting_as(system("test")):
        other_fleet = await Organisation(name="Fleet Two").insert()
        other_site = await Site(name="Workshop Two").insert()
        vehicle = await Vehicle(
            vehicle_type=VehicleType.two_wheeler, make="Ather", model="450X", organisation_id=api.organisation.id
        ).insert()
    customer = await api.as_role(Role.fleet_customer)
    stranger = await api.as_role(Role.fleet_customer, organisation_id=other_fleet.id)
    elsewhere = await api.as_role(Role.technician, site_ids=[other_site.id])

    own = await create(customer, vehicle_id=vehicle.id)
    at_site = await create(technician)
    assert (own["organisation_id"], own["vehicle_model"]) == (api.organisation.id, "450X")

    paths = [f"/api/tickets/{own['ticket_id']}", f"/api/tickets/{at_site['ticket_id']}"]
    seen = {
        customer: [200, 404],
        stranger: [404, 404],
        technician: [404, 200],
        elsewhere: [404, 404],
        await api.as_role(Role.expert): [200, 200],
        await api.as_role(Role.admin): [200, 200],
    }
    for client, expected in seen.items():
        assert [(await client.get(path)).status_code for path in paths] == expected
        assert [(await client.get(f"{path}/history")).status_code for path in paths] == expected
        patched = [
            (await client.patch(path, json={"priority": "medium"}, headers={"If-Match": '"1"'})).status_code
            for path in paths
        ]
        assert patched == expected
        listed = (await client.get("/api/tickets")).json()["items"]
        assert len(listed) == expected.count(200)
    for role in (Role.oem, Role.manufacturer):
        assert (await (await api.as_role(role)).get("/api/tickets")).status_code == 403


async def test_a_customer_neither_assigns_nor_resolves(api: Api):
    customer = await api.as_role(Role.fleet_customer)
    ticket = await create(customer)
    assert (await move(customer, ticket, "assign", technician_id="usr_x")).status_code == 403
    assert (await move(customer, ticket, "resolve", resolution="Done")).status_code == 403
    assert (await move(customer, ticket, "close")).json()["code"] == "illegal_move"


async def test_a_repeated_request_takes_in_one_ticket(technician):
    headers = {"Idempotency-Key": "tablet-7-0001"}
    answers = [await technician.post("/api/tickets", json=TICKET, headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["ticket_id"] for answer in answers}) == 1
    assert len((await technician.get("/api/tickets")).json()["items"]) == 1


async def test_tells_by_when_a_ticket_should_be_resolved(api: Api):
    client = await api.as_role(Role.technician)
    made = (await client.post("/api/tickets", json={"title": "No drive", "priority": "critical"})).json()

    hours = timedelta(hours=api.settings.sla_critical_hours)
    assert datetime.fromisoformat(made["due_at"]) - datetime.fromisoformat(made["created_at"]) == hours
    assert made["due_state"] == "on_time"
    listed = (await client.get("/api/tickets")).json()["items"]
    assert [(one["due_at"], one["due_state"]) for one in listed] == [(made["due_at"], "on_time")]
