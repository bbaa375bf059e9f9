"""The processor on a real store: each effect once, whatever fails in between."""

import asyncio
from datetime import timedelta

import pytest

from app import clock, database
from app.errors import Forbidden
from app.security import ActorKind, acting_as, current_actor, system
from models.enums import EventStatus
from models.event import CardUsed, EfiEvent, TicketClosed, TicketCreated
from services.events import record
from services.events.handler import handles_as
from services.events.processor import Processor
from tests.services.events.helpers import (
    all_processed,
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


async def test_an_event_is_worked_through_once_and_keeps_what_came_of_it():
    created, closed = await happen(TicketCreated(ticket_id="tkt_1"), TicketClosed(ticket_id="tkt_1"))
    subject = processor(table(counts))
    assert (await subject.process_pending(10)).processed == 2
    assert (await subject.process_pending(10)).total == 0
    assert await counted() == {"tkt_1": 1}
    event = await EfiEvent.get(created.id)
    assert event is not None
    assert (event.status, event.attempts, event.error) == (EventStatus.processed, 1, "")
    assert [(result.handler, result.result) for result in event.results] == [("counts", {"counted": "tkt_1"})]
    assert event.processed_at is not None
    assert await status_of(closed) == EventStatus.processed


async def test_a_handler_acts_as_its_agent_because_of_the_event():
    seen = []

    @handles_as("counting")
    async def looks(event: EfiEvent) -> None:
        seen.append(current_actor())
        await record(CardUsed(card_id="fc_1", ticket_id="tkt_1", action_id="act_1"))

    (event,) = await happen(TicketCreated(ticket_id="tkt_1"))
    rights = {"agent:counting": {"efi_events": frozenset({database.Access.write})}}
    database.guard.policy = database.DeclaredRights(rights)
    await processor(table(looks)).process_pending(1)
    (who,) = seen
    assert (who.kind, who.id, who.on_behalf_of, who.cause) == (
        ActorKind.agent,
        "agent:counting",
        "system:test",
        event.id,
    )
    follow_up = await EfiEvent.find_one({"cause": event.id})
    assert follow_up is not None
    assert follow_up.actor.id == "agent:counting"


async def test_an_agent_outside_its_rights_is_refused_and_nothing_is_written():
    @handles_as("stranger")
    async def intrudes(event: EfiEvent) -> None:
        await count(event)

    (event,) = await happen(TicketCreated(ticket_id="tkt_1"))
    tally = await processor(table(intrudes), max_attempts=1).process_pending(10)
    assert tally.dead == 1
    dead = await EfiEvent.get(event.id)
    assert dead is not None
    assert Forbidden.__name__ in dead.error
    assert "migrations" in dead.error
    assert not await counted()


async def test_a_failure_after_the_effect_takes_the_effect_back_and_is_tried_again():
    fail = True

    @handles_as("counting")
    async def stumbles(event: EfiEvent) -> None:
        await count(event)
        if fail:
            raise RuntimeError("the process stumbled")

    (event,) = await happen(TicketCreated(ticket_id="tkt_1"))
    subject = processor(table(stumbles), max_attempts=3)
    assert (await subject.process_pending(1)).failed == 1
    assert not await counted()
    waiting = await EfiEvent.get(event.id)
    assert waiting is not None
    assert waiting.status == EventStatus.pending
    assert waiting.error == "stumbles: RuntimeError: the process stumbled"
    fail = False
    await asyncio.sleep(0.02)
    assert (await subject.process_pending(1)).processed == 1
    assert await counted() == {"tkt_1": 1}


async def test_two_processors_share_the_work_and_repeat_none_of_it():
    tickets = [f"tkt_{n}" for n in range(150)]
    await happen(*(TicketCreated(ticket_id=ticket) for ticket in tickets))
    both = [processor(table(counts), batch=7) for _ in range(2)]
    for one in both:
        await one.start()
    await until(lambda: all_processed(150))
    for one in both:
        await one.stop()
    assert await counted() == dict.fromkeys(tickets, 1)
    claimants = {event.claimed_by.rsplit(":", 1)[0] async for event in EfiEvent.find() if event.claimed_by}
    assert len(claimants) == 2


async def test_a_poison_event_blocks_nobody_and_ends_as_a_dead_letter():
    @handles_as("counting")
    async def chokes(event: EfiEvent) -> None:
        await count(event)
        if event.subject_id == "tkt_bad":
            raise ValueError("no digestion")

    bad, *good = await happen(*(TicketCreated(ticket_id=ticket) for ticket in ("tkt_bad", "tkt_1", "tkt_2")))
    subject = processor(table(chokes), max_attempts=3)
    await subject.start()
    await until(lambda: is_(bad, EventStatus.dead))
    await subject.stop()
    dead = await EfiEvent.get(bad.id)
    assert dead is not None
    assert (dead.attempts, dead.error) == (3, "chokes: ValueError: no digestion")
    assert await counted() == {"tkt_1": 1, "tkt_2": 1}
    assert [await status_of(event) for event in good] == [EventStatus.processed] * 2


async def test_one_failing_handler_does_not_repeat_the_others():
    attempts = []

    @handles_as("counting")
    async def fails_once(event: EfiEvent) -> None:
        attempts.append(event.attempts)
        if len(attempts) == 1:
            raise RuntimeError("once")

    await happen(TicketCreated(ticket_id="tkt_1"))
    subject = processor(table(counts, fails_once))
    assert (await subject.process_pending(1)).failed == 1
    await asyncio.sleep(0.02)
    assert (await subject.process_pending(1)).processed == 1
    assert attempts == [1, 2]
    assert await counted() == {"tkt_1": 1}


@pytest.mark.parametrize("attempts", [1, 2, 5, 40])
def test_the_pause_doubles_with_each_failure_up_to_a_limit(attempts: int):
    subject = Processor({}, first_delay=timedelta(seconds=1))
    pauses = [subject._delay(attempts).total_seconds() for _ in range(200)]
    middle = min(300, 2 ** (attempts - 1))
    assert middle * 0.5 <= min(pauses) < max(pauses) <= middle * 1.5
    assert max(pauses) - min(pauses) > middle * 0.5


async def test_a_failed_event_is_not_taken_before_its_time():
    @handles_as("counting")
    async def fails(event: EfiEvent) -> None:
        raise RuntimeError("not now")

    (event,) = await happen(TicketCreated(ticket_id="tkt_1"))
    subject = processor(table(fails), first_delay=timedelta(hours=1))
    assert (await subject.process_pending(1)).failed == 1
    assert (await subject.process_pending(1)).total == 0
    waiting = await EfiEvent.get(event.id)
    assert waiting is not None
    assert waiting.available_at - clock.now() > timedelta(minutes=1)


async def test_a_recorded_event_wakes_the_processor_at_once():
    subject = processor(table(counts), poll_seconds=30)
    await subject.start()
    await asyncio.sleep(0.1)
    await happen(TicketCreated(ticket_id="tkt_1"))
    await until(counted, seconds=20)  # sooner than it would look by itself
    await subject.stop()


async def test_what_has_just_happened_does_not_queue_behind_a_backlog(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.events.processor.FRESH", timedelta(minutes=1))  # a slow machine may take its time
    order = []

    @handles_as("counting")
    async def notes(event: EfiEvent) -> None:
        order.append(event.subject_id)
        await asyncio.sleep(0.005)

    await happen(*(TicketCreated(ticket_id=f"tkt_{n}") for n in range(100)))
    earlier = {"$set": {"available_at": clock.now() - timedelta(minutes=5)}}
    await EfiEvent.get_pymongo_collection().update_many({}, earlier)
    subject = processor(table(notes), workers=2)
    await subject.start()
    await until(lambda: _some(order))
    await happen(TicketCreated(ticket_id="tkt_urgent"))
    await until(lambda: all_processed(101), seconds=60)
    await subject.stop()
    assert len(order) == 101
    assert order.index("tkt_urgent") < 60


async def _some(order: list[str]) -> bool:
    return len(order) >= 8


async def test_stopping_finishes_what_is_in_hand_and_gives_the_rest_back():
    entered, leave = asyncio.Event(), asyncio.Event()

    @handles_as("counting")
    async def lingers(event: EfiEvent) -> None:
        entered.set()
        await leave.wait()
        await count(event)

    first, *rest = await happen(*(TicketCreated(ticket_id=f"tkt_{n}") for n in range(3)))
    subject = processor(table(lingers), workers=1)
    await subject.start()
    await entered.wait()
    stopping = asyncio.create_task(subject.stop())
    await asyncio.sleep(0.02)
    leave.set()
    await stopping
    assert await counted() == {"tkt_0": 1}
    assert await status_of(first) == EventStatus.processed
    for event in rest:
        back = await EfiEvent.get(event.id)
        assert back is not None
        assert (back.status, back.attempts, back.claimed_by) == (EventStatus.pending, 0, None)


async def test_concurrent_events_on_one_document_lose_nothing():
    await happen(*(TicketCreated(ticket_id="tkt_1") for _ in range(40)))
    both = [processor(table(counts), batch=5) for _ in range(2)]
    for one in both:
        await one.start()
    await until(lambda: all_processed(40))
    for one in both:
        await one.stop()
    assert await counted() == {"tkt_1": 40}


async def test_nothing_is_worked_through_for_a_transaction_that_was_given_up():
    with pytest.raises(RuntimeError, match="given up"):
        await _record_and_give_up()
    with acting_as(system("test")):
        assert (await processor(table(counts)).process_pending(10)).total == 0


async def _record_and_give_up() -> None:
    async with database.transaction():
        await record(TicketCreated(ticket_id="tkt_1"))
        raise RuntimeError("given up")
