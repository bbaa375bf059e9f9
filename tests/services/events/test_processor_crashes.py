"""Processes die, hang and lose their leases; each effect still happens once."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from app import clock
from models.enums import EventStatus
from models.event import EfiEvent, EventReceipt, TicketCreated
from services.events.handler import handles_as
from services.events.processor import _write
from tests.services.events.helpers import (
    count,
    counted,
    counts,
    happen,
    is_,
    processor,
    status_of,
    table,
    until,
)

pytestmark = pytest.mark.usefixtures("store", "as_system", "rights")


async def test_a_crash_between_the_effect_and_the_mark_does_not_repeat_the_effect():
    """The effect is committed; the process dies before the event is marked. The next one finds the receipt."""
    (event,) = await happen(TicketCreated(ticket_id="tkt_1"))
    first = processor(table(counts), lease_seconds=0.05)
    _, claimed = await first._claim(1)
    await first._handle(claimed[0], {}, [])
    assert await counted() == {"tkt_1": 1}
    assert await status_of(event) == EventStatus.processing
    await asyncio.sleep(0.1)
    assert (await processor(table(counts)).process_pending(1)).processed == 1
    assert await counted() == {"tkt_1": 1}
    assert await EventReceipt.find().count() == 1


async def test_a_worker_that_lost_its_lease_neither_repeats_the_effect_nor_marks_the_event():
    """Both hold the event and neither sees the other's receipt when it starts: the receipt's id decides."""
    await happen(TicketCreated(ticket_id="tkt_1"))
    slow, quick = processor(table(counts), lease_seconds=0.01), processor(table(counts))
    _, (stale,) = await slow._claim(1)
    await asyncio.sleep(0.05)
    assert (await quick.process_pending(1)).processed == 1
    marks: list[Any] = []
    assert (await slow._handle(stale, {}, marks)).processed == 1
    written = await EfiEvent.get_pymongo_collection().bulk_write(marks)
    assert written.matched_count == 0
    assert await counted() == {"tkt_1": 1}


async def test_claims_of_a_dead_process_wait_for_nothing_when_the_store_has_no_other_user():
    await happen(TicketCreated(ticket_id="tkt_1"))
    await processor(table(counts), lease_seconds=3600)._claim(1)
    assert (await processor(table(counts)).process_pending(1)).total == 0
    restarted = processor(table(counts))
    await restarted.start(alone=True)
    await until(counted)
    await restarted.stop()
    assert await counted() == {"tkt_1": 1}


async def test_an_event_that_kills_whoever_takes_it_ends_as_a_dead_letter():
    (event,) = await happen(TicketCreated(ticket_id="tkt_1"))
    for _ in range(3):
        await processor(table(counts), lease_seconds=0.001)._claim(1)
        await asyncio.sleep(0.01)
    assert (await processor(table(counts), max_attempts=3).process_pending(1)).dead == 1
    assert await status_of(event) == EventStatus.dead
    assert not await counted()


async def test_what_is_done_is_marked_while_the_batch_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.events.processor.MARK_SECONDS", 0)
    leave = asyncio.Event()

    @handles_as("counting")
    async def last_one_lingers(event: EfiEvent) -> None:
        if event.subject_id == "tkt_last":
            await leave.wait()

    first, last = await happen(TicketCreated(ticket_id="tkt_1"), TicketCreated(ticket_id="tkt_last"))
    working = asyncio.create_task(processor(table(last_one_lingers)).process_pending(2))
    await until(lambda: is_(first, EventStatus.processed))
    assert await status_of(last) == EventStatus.processing
    leave.set()
    assert (await working).processed == 2


async def test_an_event_that_kills_a_process_does_not_take_others_along():
    """Whoever has it in hand dies before anything is marked, be it done or not begun."""
    killer, *innocent = await happen(*(TicketCreated(ticket_id=f"tkt_{n}") for n in range(6)))
    for _ in range(12):
        subject = processor(table(counts), lease_seconds=0.001, max_attempts=4)
        _, claimed = await subject._claim(10)
        marks: list[Any] = []
        for event in claimed:
            if event.id == killer.id and event.attempts <= 4:
                break
            await subject._handle(event, {}, marks)
        else:
            await _write(marks)
        await asyncio.sleep(0.01)
    assert [await status_of(event) for event in innocent] == [EventStatus.processed] * 5
    assert await status_of(killer) == EventStatus.dead
    assert await counted() == {f"tkt_{n}": 1 for n in range(1, 6)}


async def _over(end: datetime) -> bool:
    return clock.now() > end


async def test_a_long_handler_keeps_its_lease():
    entered, leave = asyncio.Event(), asyncio.Event()

    @handles_as("counting")
    async def lingers(event: EfiEvent) -> None:
        entered.set()
        await leave.wait()
        await count(event)

    await happen(TicketCreated(ticket_id="tkt_1"))
    working = asyncio.create_task(processor(table(lingers), lease_seconds=1).process_pending(1))
    await entered.wait()
    first_end = (await EfiEvent.find_one()).lease_until
    await until(lambda: _over(first_end))
    assert (await processor(table(counts)).process_pending(1)).total == 0
    leave.set()
    assert (await working).processed == 1
    assert await counted() == {"tkt_1": 1}
