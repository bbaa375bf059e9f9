"""The event log over HTTP: filters, dead letters, the live list."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from app.database import transaction
from app.security import Role, acting_as, system
from models.enums import EventStatus
from models.event import EfiEvent, TicketClosed, TicketCreated
from services.events.record import record_all
from tests.support import Api


async def happen(*payloads: Any, actor: str = "test") -> list[str]:
    with acting_as(system(actor)):
        async with transaction():
            return [event.id for event in await record_all(list(payloads))]


async def set_fields(event_id: str, **fields: Any) -> None:
    with acting_as(system("test")):
        await EfiEvent.get_pymongo_collection().update_one({"_id": event_id}, {"$set": fields})


@pytest.fixture
async def admin(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.admin)


async def listed(client: httpx.AsyncClient, path: str = "", **query: Any) -> list[str]:
    answer = await client.get(f"/api/efi/events{path}", params=query)
    assert answer.status_code == 200, answer.text
    return [event["event_id"] for event in answer.json()["items"]]


async def test_an_event_shows_who_did_what_and_why(admin: httpx.AsyncClient):
    (event_id,) = await happen(TicketClosed(ticket_id="tkt_1"))
    shown = (await admin.get(f"/api/efi/events/{event_id}")).json()
    assert shown["event_type"] == "ticket.closed"
    assert shown["data"] == {"ticket_id": "tkt_1"}
    assert shown["actor"]["id"] == "system:test"
    assert shown["status"] == "pending"
    assert (await admin.get("/api/efi/events/evt_none")).status_code == 404


async def test_the_log_is_filtered_and_paged(admin: httpx.AsyncClient):
    first, second = await happen(TicketCreated(ticket_id="tkt_1"), TicketCreated(ticket_id="tkt_2"))
    (third,) = await happen(TicketClosed(ticket_id="tkt_1"), actor="other")
    await set_fields(third, status=EventStatus.dead, cause=first)
    middle = (await admin.get(f"/api/efi/events/{second}")).json()["created_at"]
    assert await listed(admin, ticket_id="tkt_1") == [third, first]
    assert await listed(admin, subject_id="tkt_2") == [second]
    assert await listed(admin, event_type="ticket.created") == [second, first]
    assert await listed(admin, actor_id="system:other") == [third]
    assert await listed(admin, cause=first) == [third]
    assert await listed(admin, status="dead") == [third]
    assert await listed(admin, "/dead-letters") == [third]
    assert set(await listed(admin, until=middle)) <= {first}
    assert third in await listed(admin, since=middle)
    page = (await admin.get("/api/efi/events", params={"limit": 2})).json()
    assert [event["event_id"] for event in page["items"]] == [third, second]
    assert await listed(admin, limit=2, after=page["next"]) == [first]


@pytest.mark.parametrize("query", [{"event_type": "no.such"}, {"since": "yesterday"}, {"since": "2026-01-01T00:00:00"}])
async def test_a_wrong_filter_is_a_problem(admin: httpx.AsyncClient, query: dict[str, str]):
    answer = await admin.get("/api/efi/events", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].endswith(next(iter(query)))


async def test_pending_events_are_processed_on_request(api: Api, admin: httpx.AsyncClient):
    await happen(*(TicketClosed(ticket_id=f"tkt_{n}") for n in range(3)))
    assert (await admin.post("/api/efi/events/process", json={"limit": 2})).json() == {
        "processed": 2,
        "failed": 0,
        "dead": 0,
    }
    assert (await admin.post("/api/efi/events/process")).json()["processed"] == 1
    assert (await admin.post("/api/efi/events/process", json={"limit": 0})).status_code == 422


async def test_dead_letters_are_replayed_or_discarded_once(admin: httpx.AsyncClient):
    replayed, discarded, alive = await happen(*(TicketClosed(ticket_id=f"tkt_{n}") for n in range(3)))
    for event_id in (replayed, discarded):
        await set_fields(event_id, status=EventStatus.dead, attempts=8, error="boom")
    answer = (await admin.post(f"/api/efi/events/{replayed}/replay")).json()
    assert (answer["status"], answer["attempts"]) == ("pending", 0)
    assert (await admin.post(f"/api/efi/events/{discarded}/discard")).json()["status"] == "discarded"
    for path in (f"{replayed}/replay", f"{discarded}/discard", f"{alive}/discard"):
        refused = await admin.post(f"/api/efi/events/{path}")
        assert (refused.status_code, refused.json()["code"]) == (409, "event_not_dead")
    await admin.post("/api/efi/events/process")
    assert await listed(admin, status="processed") == [alive, replayed]
    assert await listed(admin, status="discarded") == [discarded]


def messages(text: str) -> list[dict[str, Any]]:
    """Server-sent events: id, type and the event itself."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "data" in fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


async def test_the_live_list_tells_what_happens_while_it_is_open(admin: httpx.AsyncClient):
    (before,) = await happen(TicketClosed(ticket_id="tkt_0"))
    # A slow machine may connect only after the event: naming the last one read makes that no difference.
    header = {"Last-Event-ID": before}
    reading = asyncio.create_task(admin.get("/api/efi/events/stream", params={"seconds": 2}, headers=header))
    await asyncio.sleep(0.3)
    (event_id,) = await happen(TicketClosed(ticket_id="tkt_1"))
    answer = await reading
    assert answer.headers["content-type"].startswith("text/event-stream")
    (message,) = messages(answer.text)
    assert (message["id"], message["event"]) == (event_id, "ticket.closed")
    assert message["data"]["event_id"] == event_id
    assert message["data"]["data"] == {"ticket_id": "tkt_1"}


async def test_the_live_list_starts_now_unless_told_otherwise(admin: httpx.AsyncClient):
    await happen(TicketClosed(ticket_id="tkt_0"))
    await asyncio.sleep(0.01)
    answer = await admin.get("/api/efi/events/stream", params={"seconds": 0})
    assert messages(answer.text) == []


async def test_the_live_list_goes_on_after_the_last_event_read(admin: httpx.AsyncClient):
    first, second, third = await happen(*(TicketClosed(ticket_id=f"tkt_{n}") for n in range(3)))
    header = {"Last-Event-ID": first}
    answer = await admin.get("/api/efi/events/stream", params={"seconds": 0}, headers=header)
    assert [message["id"] for message in messages(answer.text)] == [second, third]
    filtered = await admin.get("/api/efi/events/stream", params={"seconds": 0, "subject_id": "tkt_2"}, headers=header)
    assert [message["id"] for message in messages(filtered.text)] == [third]
    unknown = await admin.get("/api/efi/events/stream", headers={"Last-Event-ID": "evt_none"})
    assert unknown.status_code == 404
