"""Technician actions, part usage and stock over HTTP."""

import asyncio

import httpx
import pytest

from app.security import Role
from tests.support import Api


@pytest.fixture
async def technician(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.technician)


@pytest.fixture
async def ticket_id(technician) -> str:
    return (await technician.post("/api/tickets", json={"title": "No drive"})).json()["ticket_id"]


READING = {"quantity": "coil resistance", "value": 24, "unit": "Ω"}


@pytest.fixture
async def part(api: Api, technician) -> dict:
    body = {
        "part_name": "HV fuse", "part_number": "FUS-125", "unit_cost": "33.33",
        "site_id": api.site.id, "quantity_on_hand": 5,
    }  # fmt: skip
    answer = await technician.post("/api/parts", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_an_action_is_recorded_and_read_back(technician, ticket_id):
    body = {
        "ticket_id": ticket_id,
        "resolution_outcome": "success",
        "issue_resolved": True,
        "attempted_diagnostics": [
            {
                "check_performed": "Measured the contactor coil",
                "confirmed": True,
                "measurements": [{"quantity": "coil voltage", "value": 0.2, "unit": "V"}],
                "timestamp": "2026-01-01T15:30:00+05:30",
            }
        ],
    }
    answer = await technician.post("/api/efi/technician-actions", json=body)
    assert answer.status_code == 201, answer.text
    action = answer.json()
    assert action["attempted_diagnostics"][0]["timestamp"] == "2026-01-01T10:00:00Z"
    assert action["resolution_round"] == 1

    assert (await technician.get(f"/api/efi/technician-actions/{action['action_id']}")).json() == action
    listed = (await technician.get("/api/efi/technician-actions", params={"ticket_id": ticket_id})).json()
    assert listed == {"items": [action], "next": None}
    assert (await technician.get(f"/api/tickets/{ticket_id}")).json()["status"] == "in_progress"


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"new_failure_discovered": True}, 422, "new_failure_description"),
        ({"completed_at": "2099-01-01T00:00:00Z"}, 422, "completed_at"),
        ({"started_at": "2026-01-01T10:00:00"}, 422, "started_at"),
        ({"failure_card_used": "fc_unknown"}, 422, "failure_card_used"),
        ({"ticket_id": "tkt_unknown"}, 404, None),
        ({"measurements": [READING, READING | {"value": -2}]}, 422, "measurements.1.value"),
        (
            {"attempted_diagnostics": [{"check_performed": "Coil", "measurements": [READING | {"value": -2}]}]},
            422,
            "attempted_diagnostics.0.measurements.0.value",
        ),
    ],
)
async def test_bad_actions_are_refused(technician, ticket_id, fields, status, field):
    body = {"ticket_id": ticket_id, "resolution_outcome": "failed"} | fields
    answer = await technician.post("/api/efi/technician-actions", json=body)
    assert answer.status_code == status
    assert field is None or answer.json()["errors"][0]["field"] == field
    assert (await technician.get("/api/efi/technician-actions")).json()["items"] == []
    assert (await technician.get(f"/api/tickets/{ticket_id}")).json()["status"] == "open"


async def test_an_admin_records_on_behalf_of_a_technician(api: Api, technician, ticket_id):
    colleague = await api.add_user(Role.technician)
    body = {"ticket_id": ticket_id, "resolution_outcome": "partial", "technician_id": colleague.id}
    assert (await technician.post("/api/efi/technician-actions", json=body)).status_code == 403
    admin = await api.as_role(Role.admin)
    action = (await admin.post("/api/efi/technician-actions", json=body)).json()
    assert (action["technician_id"], action["technician_name"]) == (colleague.id, colleague.name)


async def test_parts_from_shelf_to_ticket(technician, ticket_id, part):
    body = {"ticket_id": ticket_id, "part_id": part["part_id"], "quantity": 4}
    taken = (await technician.post("/api/efi/part-usage", json=body)).json()
    path = f"/api/efi/part-usage/{taken['usage_id']}"
    assert (taken["status"], taken["was_recommended"], taken["unit_cost"]) == ("allocated", False, "33.33")

    assert (await technician.post(f"{path}/use", json={"quantity": 2})).json()["total_cost"] == "66.66"
    assert (await technician.post(f"{path}/damage", json={"quantity": 1})).json()["status"] == "allocated"
    too_many = await technician.post(f"{path}/return", json={"quantity": 2})
    assert (too_many.status_code, too_many.json()["code"], too_many.json()["outstanding"]) == (
        409,
        "not_outstanding",
        1,
    )
    assert (await technician.post(f"{path}/return", json={})).json()["status"] == "used"
    again = await technician.post(f"{path}/use", json={})
    assert (again.status_code, again.json()["legal"]) == (409, [])

    shelf = (await technician.get(f"/api/parts/{part['part_id']}")).json()
    assert (shelf["quantity_on_hand"], shelf["quantity_allocated"]) == (2, 0)
    ticket = (await technician.get(f"/api/tickets/{ticket_id}")).json()
    assert (ticket["parts_cost"], ticket["actual_cost"]) == ("66.66", "66.66")
    assert ticket["parts_used"][0]["usage_id"] == taken["usage_id"]
    for params in ({"ticket_id": ticket_id}, {"part_id": part["part_id"]}, {"status": "used"}):
        found = (await technician.get("/api/efi/part-usage", params=params)).json()["items"]
        assert [usage["usage_id"] for usage in found] == [taken["usage_id"]]


@pytest.mark.parametrize("quantity", [0, -1, 1001, 1.5, "many"])
async def test_quantities_are_whole_and_positive(technician, ticket_id, part, quantity):
    body = {"ticket_id": ticket_id, "part_id": part["part_id"], "quantity": quantity}
    answer = await technician.post("/api/efi/part-usage", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "quantity")


async def test_the_shelf_is_never_oversold(technician, part):
    tickets = [(await technician.post("/api/tickets", json={"title": f"No drive {n}"})).json() for n in range(8)]
    bodies = [{"ticket_id": ticket["ticket_id"], "part_id": part["part_id"], "quantity": 1} for ticket in tickets]
    answers = await asyncio.gather(*(technician.post("/api/efi/part-usage", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * 3
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"insufficient_stock"}
    shelf = (await technician.get(f"/api/parts/{part['part_id']}")).json()
    assert (shelf["quantity_on_hand"], shelf["quantity_allocated"]) == (0, 5)


async def test_stock_keeping(api: Api, technician, part):
    path = f"/api/parts/{part['part_id']}"
    negative = await technician.post(f"{path}/adjust", json={"quantity": -6, "reason": "Stock-taking"})
    assert (negative.status_code, negative.json()["code"]) == (409, "insufficient_stock")
    zero = await technician.post(f"{path}/adjust", json={"quantity": 0, "reason": "Stock-taking"})
    assert (zero.status_code, zero.json()["errors"][0]["field"]) == (422, "quantity")
    unexplained = await technician.post(f"{path}/adjust", json={"quantity": 1, "reason": " "})
    assert unexplained.status_code == 422
    adjusted = await technician.post(f"{path}/adjust", json={"quantity": -2, "reason": "Broken on the shelf"})
    assert adjusted.json()["quantity_on_hand"] == 3
    assert adjusted.json()["stock_changes"][-1]["reason"] == "Broken on the shelf"

    content = {"part_name": "HV fuse", "part_number": "FUS-125", "unit_cost": "40.00"}
    assert (await technician.put(path, json=content)).status_code == 428
    changed = await technician.put(path, json=content, headers={"If-Match": adjusted.headers["ETag"]})
    assert (changed.json()["unit_cost"], changed.json()["quantity_on_hand"]) == ("40.00", 3)
    twice = await technician.post("/api/parts", json=content | {"site_id": api.site.id})
    assert (twice.status_code, twice.json()["code"]) == (409, "duplicate")
    below = await technician.post("/api/parts", json=content | {"site_id": api.site.id, "quantity_on_hand": -1})
    assert (below.status_code, below.json()["errors"][0]["field"]) == (422, "quantity_on_hand")
    listed = (await technician.get("/api/parts", params={"part_number": "FUS-125"})).json()["items"]
    assert [entry["part_id"] for entry in listed] == [part["part_id"]]


async def test_records_of_a_workshop_stay_in_it(api: Api, technician, ticket_id, part):
    body = {"ticket_id": ticket_id, "resolution_outcome": "success"}
    action = (await technician.post("/api/efi/technician-actions", json=body)).json()
    taken = (
        await technician.post("/api/efi/part-usage", json={"ticket_id": ticket_id, "part_id": part["part_id"]})
    ).json()
    paths = [
        f"/api/efi/technician-actions/{action['action_id']}",
        f"/api/efi/part-usage/{taken['usage_id']}",
        f"/api/parts/{part['part_id']}",
    ]
    elsewhere = await api.as_role(Role.technician, site_ids=["site_elsewhere"])
    customer = await api.as_role(Role.fleet_customer)
    for path in paths:
        assert (await technician.get(path)).status_code == 200
        assert (await elsewhere.get(path)).status_code == 404
        assert (await elsewhere.get(path.rsplit("/", 1)[0])).json()["items"] == []
        assert (await customer.get(path)).status_code == 403
    assert (await elsewhere.post(f"{paths[1]}/use", json={})).status_code == 404
    assert (await elsewhere.post("/api/efi/technician-actions", json=body)).status_code == 404
