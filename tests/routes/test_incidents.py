"""Incidents over HTTP: who sees them, and what experts and admins do about them."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app import clock
from app.ids import id_at, new_id
from app.security import Role, acting_as, system
from models.incident import Incident
from models.ticket import Ticket
from services.workflows.patterns import incidents
from tests.support import Api

PATH = "/api/efi/incidents"
WORDS = (
    "amber",
    "bolt",
    "cable",
    "drum",
    "edge",
    "fork",
    "gear",
    "hook",
    "idle",
    "jack",
    "knob",
    "lamp",
    "mast",
    "nut",
)


@pytest.fixture
async def tickets(api: Api) -> list[str]:
    """A year of tickets of all kinds, and five of the last days that tell of one failure; returns the ids of these."""
    now = clock.now()

    def ticket(days_ago: float, text: str, **fields: Any) -> Ticket:
        at = now - timedelta(days=days_ago)
        return Ticket(
            id=id_at("ticket", at),
            title=text,
            vehicle_make="Ather",
            vehicle_model="450X",
            site_id=api.site.id,
            organisation_id=api.organisation.id,
            ai_match_performed=True,
            created_at=at,
            **fields,
        )

    ordinary = [
        ticket(31 + n, f"{WORDS[n % 14]} {WORDS[n // 14]} worn", suggested_failure_cards=["fc_1"]) for n in range(190)
    ]
    emerging = [ticket(1 + n, f"grip heater stays on, rubber melts, {WORDS[n]}") for n in range(5)]
    with acting_as(system("test")):
        await Ticket.insert_many([*ordinary, *emerging])
    return sorted((one.id for one in emerging), reverse=True)


@pytest.fixture
async def admin(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.admin)


@pytest.fixture
async def expert(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.expert)


@pytest.fixture
async def incident_id(admin: httpx.AsyncClient, tickets: list[str]) -> str:
    answer = await admin.post(f"{PATH}/detect")
    assert answer.status_code == 200, answer.text
    (opened,) = answer.json()["opened"]
    return opened


async def test_an_admin_runs_detection_and_is_told_what_came_of_it(admin: httpx.AsyncClient, tickets: list[str]):
    answer = (await admin.post(f"{PATH}/detect")).json()
    assert (answer["idle"], answer["tickets"], answer["unexplained"], answer["earlier_tickets"]) == (False, 5, 5, 190)
    assert len(answer["opened"]) == 1, answer
    again = (await admin.post(f"{PATH}/detect")).json()
    assert (again["opened"], again["extended"], again["merged"]) == ([], [], [])


async def test_an_incident_shows_its_tickets_facts_and_why_it_is_unusual(
    expert: httpx.AsyncClient, incident_id: str, tickets: list[str]
):
    (listed,) = (await expert.get(PATH)).json()["items"]
    assert (listed["incident_id"], listed["status"], listed["ticket_count"]) == (incident_id, "open", 5)
    shown = (await expert.get(f"{PATH}/{incident_id}")).json()
    assert shown["ticket_ids"] == tickets
    assert "grip heater" in shown["title"].casefold()
    assert shown["statistic"]["earlier_vehicles"] == 0
    assert shown["statistic"]["explanation"].startswith("5 vehicles with alike unexplained tickets in 30 days, where")
    card = (await expert.get(f"/api/efi/failure-cards/{shown['failure_id']}")).json()
    assert (card["status"], card["source_type"]) == ("draft", "pattern_detection")
    (review,) = (await expert.get("/api/efi/review-queue?source_type=pattern_detection")).json()["items"]
    assert review["failure_id"] == shown["failure_id"]


async def test_incidents_are_listed_by_status_in_pages(api: Api, expert: httpx.AsyncClient, incident_id: str):
    with acting_as(system("test")):
        first = await incidents.get(incident_id)
        for _ in range(2):
            await first.model_copy(update={"id": new_id("incident"), "status": "watching"}).insert()
    page = (await expert.get(PATH, params={"limit": 2})).json()
    rest = (await expert.get(PATH, params={"limit": 2, "after": page["next"]})).json()
    assert [len(page["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]
    assert rest["items"][0]["incident_id"] == incident_id
    watched = (await expert.get(PATH, params={"status": "watching"})).json()["items"]
    assert {one["status"] for one in watched} == {"watching"}
    assert len(watched) == 2
    assert (await expert.get(PATH, params={"status": "gone"})).status_code == 422


async def test_an_expert_dismisses_it_with_a_reason(expert: httpx.AsyncClient, incident_id: str):
    assert (await expert.post(f"{PATH}/{incident_id}/dismiss", json={"reason": ""})).status_code == 422
    answer = await expert.post(f"{PATH}/{incident_id}/dismiss", json={"reason": "one rental fleet"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"], told["dismissal_reason"], told["dismissed_by"]["kind"]) == (
        "watching",
        "one rental fleet",
        "user",
    )
    card = (await expert.get(f"/api/efi/failure-cards/{told['failure_id']}")).json()
    assert card["status"] == "deprecated"


async def test_an_expert_takes_a_ticket_out(expert: httpx.AsyncClient, incident_id: str, tickets: list[str]):
    answer = await expert.post(f"{PATH}/{incident_id}/tickets/{tickets[2]}/remove")
    assert answer.status_code == 200, answer.text
    assert answer.json()["ticket_ids"] == [one for one in tickets if one != tickets[2]]
    assert answer.json()["ticket_count"] == 4
    assert (await expert.post(f"{PATH}/{incident_id}/tickets/{tickets[2]}/remove")).status_code == 404


async def test_what_is_closed_or_unknown_is_refused(expert: httpx.AsyncClient, incident_id: str, tickets: list[str]):
    assert (await expert.get(f"{PATH}/{new_id('incident')}")).status_code == 404
    with acting_as(system("test")):
        await Incident.get_pymongo_collection().update_one(
            {"_id": incident_id}, {"$set": {"status": "closed", "closed_because": "approved"}}
        )
    for path, body in (("dismiss", {"reason": "late"}), (f"tickets/{tickets[0]}/remove", None)):
        answer = await expert.post(f"{PATH}/{incident_id}/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "incident_closed")


@pytest.mark.parametrize(
    "role", [Role.technician, Role.fleet_customer, Role.oem, Role.manufacturer, Role.service], ids=str
)
async def test_nobody_else_sees_or_changes_incidents(api: Api, incident_id: str, tickets: list[str], role: Role):
    """Not even the customer and the technician whose tickets they are."""
    client = await api.as_role(role)
    answers = [
        await client.get(PATH),
        await client.get(f"{PATH}/{incident_id}"),
        await client.post(f"{PATH}/{incident_id}/dismiss", json={"reason": "x"}),
        await client.post(f"{PATH}/{incident_id}/tickets/{tickets[0]}/remove"),
        await client.post(f"{PATH}/detect"),
    ]
    assert [answer.status_code for answer in answers] == [403] * 5


async def test_detection_is_for_admins_alone(expert: httpx.AsyncClient):
    assert (await expert.post(f"{PATH}/detect")).status_code == 403
