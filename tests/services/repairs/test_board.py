"""The tickets in work as workbenches list them: who is shown what, in which order, and how soon a change shows."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from app import clock
from app.database import connect, disconnect, transaction, written
from app.security import Actor, acting_as, system
from models import ALL_DOCUMENTS
from models.enums import DueState, Priority, TicketStatus
from models.ticket import Resolution, Ticket
from services.repairs import board, sla, ticket_moves
from services.repairs.board import STALE_SECONDS, Board, Order, Wanted
from services.repairs.tickets import edit
from tests.query_plans import watched

OPEN = Wanted(status=TicketStatus.open)


@pytest.fixture(autouse=True)
def targets() -> Iterator[None]:
    sla.configure({Priority.critical: 4, Priority.high: 24, Priority.medium: 72, Priority.low: 0})
    yield
    sla.configure({})


async def listed(on: Board, actor: Actor, wanted: Wanted = OPEN) -> list[str]:
    with acting_as(actor):
        return [row.id for row in (await on.list_for(actor, wanted)).rows]


async def back_date(ticket: Ticket, hours: float) -> None:
    """As if it had been taken in earlier."""
    with acting_as(system("test")):
        changes = {"created_at": clock.now() - timedelta(hours=hours), "updated_at": clock.now()}
        await Ticket.get_pymongo_collection().update_one({"_id": ticket.id}, {"$set": changes})


async def test_each_is_shown_what_they_may_see(house, new_ticket):
    here = await new_ticket()
    there = await new_ticket(actor=house.elsewhere)
    fleets = await new_ticket(actor=house.customer)
    on = Board()
    for _ in range(2):  # the second time from what is kept
        assert await listed(on, house.technician) == [here.id]
        assert await listed(on, house.elsewhere) == [there.id]
        assert await listed(on, house.both_sites) == [here.id, there.id]
        assert await listed(on, house.customer) == [fleets.id]
        assert await listed(on, house.other_customer) == []
        assert await listed(on, house.admin) == [here.id, there.id, fleets.id]
        assert await listed(on, house.oem) == []


async def test_what_this_process_writes_shows_at_once(house, new_ticket):
    on = Board()
    assert await listed(on, house.technician) == []
    ticket = await new_ticket()
    assert await listed(on, house.technician) == [ticket.id]
    with acting_as(house.technician):
        ticket = await edit(ticket, {"title": "Beeps"}, revision=ticket.revision)
        assert [row.title for row in (await on.list_for(house.technician, OPEN)).rows] == ["Beeps"]
        ticket = await ticket_moves.progress(ticket, TicketStatus.in_progress)
        assert await listed(on, house.technician) == []
        assert await listed(on, house.technician, Wanted()) == [ticket.id]
        ticket = await ticket_moves.resolve(ticket, Resolution(resolution="Done"))
        assert await listed(on, house.technician, Wanted()) == []
        await ticket_moves.reopen(ticket, "Again", return_window=timedelta(days=1))
        assert await listed(on, house.technician, Wanted()) == [ticket.id]


async def test_what_another_process_writes_shows_within_a_second(
    house, new_ticket, other_process: MongoClient[dict[str, Any]], database_name: str
):
    ticket = await new_ticket()
    on = Board()
    await listed(on, house.technician)
    writes = written("tickets")
    change = {"$set": {"title": "Changed elsewhere", "updated_at": clock.now()}, "$inc": {"revision": 1}}
    other_process[database_name]["tickets"].update_one({"_id": ticket.id}, change)
    await asyncio.sleep(STALE_SECONDS)
    with acting_as(house.technician):
        assert [row.title for row in (await on.list_for(house.technician, OPEN)).rows] == ["Changed elsewhere"]
    assert written("tickets") == writes


async def test_a_change_that_was_taken_back_does_not_show(house, new_ticket):
    on = Board()
    ticket = await new_ticket()
    await listed(on, house.technician)
    with pytest.raises(ZeroDivisionError), acting_as(house.technician):
        async with transaction():
            await ticket_moves.progress(ticket, TicketStatus.in_progress)
            raise ZeroDivisionError
    assert await listed(on, house.technician) == [ticket.id]


async def test_urgent_ones_come_first_then_those_that_wait_longest(house, new_ticket):
    low, medium, high, critical = [await new_ticket(priority=priority) for priority in Priority]
    older = await new_ticket(priority=Priority.high)
    await back_date(older, 30)
    await back_date(medium, 71)
    on = Board()
    urgency = [critical.id, older.id, high.id, medium.id, low.id]
    assert await listed(on, house.technician) == urgency
    due = Wanted(status=TicketStatus.open, order=Order.due)
    assert await listed(on, house.technician, due) == [older.id, medium.id, critical.id, high.id, low.id]
    newest = Wanted(status=TicketStatus.open, order=Order.newest)
    assert await listed(on, house.technician, newest) == [older.id, critical.id, high.id, medium.id, low.id]


async def test_counts_and_finds_what_is_late(house, new_ticket):
    overdue, soon, _ = [await new_ticket(priority=Priority.high) for _ in range(3)]
    await back_date(overdue, 25)
    await back_date(soon, 20)
    on = Board()
    with acting_as(house.technician):
        listing = await on.list_for(house.technician, OPEN)
        assert (len(listing.rows), listing.overdue, listing.due_soon) == (3, 1, 1)
    assert await listed(on, house.technician, Wanted(due=DueState.overdue)) == [overdue.id]
    assert await listed(on, house.technician, Wanted(due=DueState.due_soon)) == [soon.id]


async def test_finds_ones_own(house, new_ticket):
    mine, _ = await new_ticket(), await new_ticket()
    with acting_as(house.technician):
        await ticket_moves.assign(mine, house.technician.id)
    assert await listed(Board(), house.technician, Wanted(technician_id=house.technician.id)) == [mine.id]


async def test_many_lookers_share_one_reading(house, new_ticket, monkeypatch: pytest.MonkeyPatch):
    await new_ticket()
    on = Board()
    reads = 0
    read = on._read

    async def counted() -> None:
        nonlocal reads
        reads += 1
        await read()

    monkeypatch.setattr(on, "_read", counted)
    found = await asyncio.gather(*(listed(on, house.technician) for _ in range(20)))
    assert (reads, len({tuple(one) for one in found})) == (1, 1)


async def test_reads_by_index(database_url: str, database_name: str, house, new_ticket):
    await disconnect()
    with watched() as queries:
        store = await connect(database_url, database_name, ALL_DOCUMENTS)
        on = Board()
        await listed(on, house.technician)
        await new_ticket()
        await listed(on, house.technician)
    with acting_as(system("test")):
        assert await queries.scans(store) == set()


async def test_looking_without_a_board_is_a_mistake(house):
    board.serve(None)
    with acting_as(house.technician), pytest.raises(RuntimeError):
        await board.list_active(OPEN)
