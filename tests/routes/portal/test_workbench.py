"""The lists of tickets, seen without a browser: who is shown what, and how soon a change shows."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from app import clock
from app.security import Role, acting_as, system
from app.settings import Settings
from models.account import Site, User
from models.enums import Priority
from models.ticket import Ticket, TicketContent
from routes.portal import workbench
from services.accounts import sessions
from services.accounts.sessions import actor_of
from services.repairs import ticket_moves, tickets
from services.repairs.board import STALE_SECONDS
from services.repairs.visibility import load_visible
from services.writing import insert_many
from tests.routes.portal.support import csrf_token, visitor
from tests.support import Api

TITLE = re.compile(r"<strong><bdi>(.*?)</bdi></strong>")


async def titles(client: httpx.AsyncClient, path: str = "/tickets?view=open") -> list[str]:
    shown = await client.get(path)
    assert shown.status_code == 200
    return TITLE.findall(shown.text)


async def open_ticket(user: User, title: str, **fields: Any) -> Ticket:
    with acting_as(actor_of(user)):
        return await tickets.create(TicketContent(title=title, **fields))


async def elsewhere(api: Api) -> User:
    """A technician of another workshop."""
    with acting_as(system("test")):
        site = await Site(name="Workshop Two").insert()
    return await api.add_user(Role.technician, site_ids=[site.id])


async def test_a_kept_list_is_never_shown_to_somebody_with_other_rights(api: Api):
    here, there = await api.add_user(Role.technician), await elsewhere(api)
    both = await api.add_user(Role.technician, site_ids=[*here.site_ids, *there.site_ids])
    await open_ticket(here, "Ours")
    await open_ticket(there, "Theirs")
    expected = {here.id: ["Ours"], there.id: ["Theirs"], both.id: ["Ours", "Theirs"]}
    expected |= {(await api.add_user(Role.admin)).id: ["Ours", "Theirs"]}
    expected |= {(await api.add_user(Role.technician, site_ids=[])).id: []}
    with acting_as(system("test")):
        people = [await User.find_one({"_id": user_id}) for user_id in expected]
    clients = [await visitor(api, user) for user in people]
    for _ in range(2):
        for user, client in zip(people, clients, strict=True):
            assert await titles(client) == expected[user.id]


async def test_an_entity_tag_is_of_no_use_to_somebody_else(api: Api):
    here, there = await api.add_user(Role.technician), await elsewhere(api)
    await open_ticket(here, "Ours")
    mine, theirs = await visitor(api, here), await visitor(api, there)
    known = {"if-none-match": (await mine.get("/tickets?view=open")).headers["etag"]}
    assert (await mine.get("/tickets?view=open", headers=known)).status_code == 304
    other = await theirs.get("/tickets?view=open", headers=known)
    assert (other.status_code, TITLE.findall(other.text)) == (200, [])
    colleague = await visitor(api, await api.add_user(Role.technician))
    assert (await colleague.get("/tickets?view=open", headers=known)).status_code == 200  # another name, another token
    assert (await (await visitor(api)).get("/tickets?view=open", headers=known)).status_code == 303


async def test_a_page_that_has_not_changed_is_not_sent_again_until_it_has(api: Api):
    user = await api.add_user(Role.technician)
    client = await visitor(api, user)
    ticket = await open_ticket(user, "Beeps")
    first = await client.get("/tickets?view=open")
    assert first.headers["cache-control"] == "private, no-cache"
    assert "Cookie" in first.headers["vary"]
    known = {"if-none-match": first.headers["etag"]}
    again = await client.get("/tickets?view=open", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"]
    with acting_as(actor_of(user)):
        await tickets.edit(ticket, {"title": "Hums"}, revision=ticket.revision)
    changed = await client.get("/tickets?view=open", headers=known)
    assert TITLE.findall(changed.text) == ["Hums"]
    with acting_as(actor_of(user)):
        await ticket_moves.assign(await load_visible(ticket.id), user.id)
    assert await titles(client, "/tickets?view=mine") == ["Hums"]


async def test_what_another_replica_writes_shows_within_a_second(
    api: Api, settings: Settings, other_process: MongoClient[dict[str, Any]]
):
    user = await api.add_user(Role.technician)
    client = await visitor(api, user)
    ticket = await open_ticket(user, "Beeps")
    assert await titles(client) == ["Beeps"]
    change = {"$set": {"title": "Hums", "updated_at": clock.now()}, "$inc": {"revision": 1}}
    other_process[settings.mongo_database]["tickets"].update_one({"_id": ticket.id}, change)
    await asyncio.sleep(STALE_SECONDS)
    assert await titles(client) == ["Hums"]


async def test_a_kept_list_outlives_neither_session_nor_role(api: Api):
    user = await api.add_user(Role.technician)
    client = await visitor(api, user)
    await open_ticket(user, "Beeps")
    known = {"if-none-match": (await client.get("/tickets?view=open")).headers["etag"]}
    with acting_as(system("test")):
        await User.get_pymongo_collection().update_one({"_id": user.id}, {"$set": {"site_ids": []}})
    assert await titles(client) == []
    with acting_as(system("test")):
        await sessions.end_all(user.id)
    assert (await client.get("/tickets?view=open", headers=known)).status_code == 303


async def test_each_visit_has_a_token_of_its_own_and_all_of_them_hold(api: Api):
    user = await api.add_user(Role.technician)
    mine, colleague = await visitor(api, user), await visitor(api, await api.add_user(Role.technician))
    tokens = [await csrf_token(mine, "/tickets?view=open") for _ in range(2)]
    assert tokens[0] != tokens[1]
    for token in tokens:
        sent = await mine.post("/account/display", data={"csrf_token": token, "zone": "Asia/Tokyo"})
        assert sent.status_code == 303
        sent = await colleague.post("/account/display", data={"csrf_token": token, "zone": "Asia/Tokyo"})
        assert sent.status_code == 403


async def test_compressed_and_plain_pages_say_the_same(api: Api):
    client = await visitor(api, await api.add_user(Role.technician))
    packed = await client.get("/tickets", headers={"accept-encoding": "gzip"})
    plain = await client.get("/tickets", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    token = re.compile(r'value="[0-9a-f]{128}"')
    assert token.sub("", packed.text) == token.sub("", plain.text)


async def test_leafs_through_the_work_in_its_order(api: Api):
    user = await api.add_user(Role.technician)
    with acting_as(system("test")):
        many = [
            Ticket(
                title=f"Ticket {n:03}", site_id=api.site.id, priority=Priority.critical if n == 119 else Priority.low
            )
            for n in range(120)
        ]
        await insert_many(many)
    client = await visitor(api, user)
    found, path = [], "/tickets?view=open"
    while path:
        page = (await client.get(path)).text
        found.append(TITLE.findall(page))
        following = re.search(r'href="([^"]+)" rel="next"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert [len(one) for one in found] == [workbench.SHOWN, workbench.SHOWN, 20]
    assert [title for one in found for title in one] == ["Ticket 119", *(f"Ticket {n:03}" for n in range(119))]
    assert await titles(client, "/tickets?view=open&page=9") == []
    assert (await titles(client, "/tickets?view=open&order=newest"))[0] == "Ticket 119"
    for odd in ("page=-1", "page=x", "page=0", "order=x", "due=x", "view=x"):
        assert (await client.get(f"/tickets?{odd}")).status_code == 200


async def test_says_what_is_late_and_lists_it_alone(api: Api):
    user = await api.add_user(Role.technician)
    client = await visitor(api, user)
    late = await open_ticket(user, "Late", priority=Priority.high)
    soon = await open_ticket(user, "Soon", priority=Priority.high)
    await open_ticket(user, "In time", priority=Priority.high)
    with acting_as(system("test")):
        for ticket, hours in ((late, 31.5), (soon, 22)):
            then = {"created_at": clock.now() - timedelta(hours=hours), "updated_at": clock.now()}
            await Ticket.get_pymongo_collection().update_one({"_id": ticket.id}, {"$set": then})
    page = (await client.get("/tickets?view=open")).text
    assert re.search(r"1 overdue.*1 due soon", page, re.DOTALL)
    assert "overdue by 7 h" in page
    assert await titles(client, "/tickets?view=open&due=overdue") == ["Late"]
    assert await titles(client, "/tickets?view=open&due=due_soon") == ["Soon"]
    assert "overdue by 7 h" in (await client.get("/tickets?view=all")).text


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
async def test_a_path_that_only_begins_like_one_of_ours_is_none(api: Api, accept: str):
    client = await visitor(api, await api.add_user(Role.technician))
    for path in ("/ticketsx", "/tickets/a/b/c/d", "/apix/tickets"):
        assert (await client.get(path, headers={"accept": accept})).status_code == 404
