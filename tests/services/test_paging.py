"""Pages hold every document once, whenever it was made and however sparse the matches are."""

from datetime import timedelta

import pytest

from app import clock
from app.errors import Invalid
from app.ids import earlier, id_at, new_id
from models.ticket import Ticket
from services.paging import Page, page

AGES = (0, 5, 9, 11, 79, 3_600, 86_400, 40 * 86_400, 3 * 365 * 86_400, 25 * 365 * 86_400, 55 * 365 * 86_400)


async def store_tickets() -> list[Ticket]:
    now = clock.now()
    tickets = [
        Ticket(id=id_at("ticket", now - timedelta(seconds=age)), title=f"Age {age}", vehicle_make=make)
        for age in AGES
        for make in ("Ather", "Ola")
    ]
    await Ticket.insert_many(tickets)
    return sorted(tickets, key=lambda ticket: ticket.id, reverse=True)


async def walk(**options) -> list[str]:
    found, after = [], None
    while True:
        got: Page[Ticket] = await page(Ticket, after=after, **options)
        assert len(got.items) <= options["limit"]
        found += [ticket.id for ticket in got.items]
        after = got.next
        if after is None:
            return found


@pytest.mark.parametrize("limit", [1, 3, 200])
@pytest.mark.parametrize("newest_first", [True, False])
async def test_every_document_once_and_in_order(as_system: None, limit: int, newest_first: bool):
    expected = [ticket.id for ticket in await store_tickets()]
    walked = await walk(query={}, limit=limit, newest_first=newest_first)
    assert walked == (expected if newest_first else expected[::-1])


@pytest.mark.parametrize(
    "conditions",
    [
        {"query": {"status": "open"}, "also": {"vehicle_make": "Ola"}},
        {"query": {"status": {"$in": ["open", "closed"]}}, "also": {"vehicle_make": "Ola"}},
        {"query": {"vehicle_make": "Ola", "vehicle_model": ""}},
        {"query": {"vehicle_make": "Ola", "_id": {"$gte": earlier(new_id("ticket"), timedelta(days=365 * 60))}}},
    ],
)
async def test_conditions_of_every_kind(as_system: None, conditions: dict):
    expected = [ticket.id for ticket in await store_tickets() if ticket.vehicle_make == "Ola"]
    if "_id" in conditions["query"]:
        expected = [one for one in expected if one >= conditions["query"]["_id"]["$gte"]]
    assert await walk(limit=2, **conditions) == expected


@pytest.mark.parametrize("cursor", ["", "x", "=", "ünsinn", "dGt0", "dGt0X2FiYw"])
async def test_a_made_up_cursor_is_refused(as_system: None, cursor: str):
    with pytest.raises(Invalid):
        await page(Ticket, {}, after=cursor)


def test_earlier_identifiers_end_at_the_beginning_of_time():
    ticket = new_id("ticket")
    assert earlier(ticket, timedelta()) <= ticket < new_id("ticket")
    assert earlier(ticket, timedelta(days=365 * 1000)) == "tkt_" + "0" * 20
