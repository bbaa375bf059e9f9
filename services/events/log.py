"""Reading the event log, and what an admin does with dead letters."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from app import clock
from app.errors import Conflict, NotFound
from models.enums import EventStatus
from models.event import EfiEvent, EventType
from services.events.record import forget, on_recorded
from services.paging import MAX_LIMIT, Page, made_between, page

COMMIT_DELAY = timedelta(seconds=5)
"""An event gets its id before its transaction commits, so events may appear behind younger ones, this late at most."""
LOOK_SECONDS = 1.0
PAUSE_SECONDS = 0.2


class NotDead(Conflict):
    code, title = "event_not_dead", "The event is not a dead letter"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What to list; None asks for everything. `until` is exclusive."""

    event_type: EventType | None = None
    status: EventStatus | None = None
    subject_id: str | None = None
    ticket_id: str | None = None
    actor_id: str | None = None
    cause: str | None = None
    site_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> dict[str, Any]:
        fields = {
            "event_type": self.event_type,
            "status": self.status,
            "subject_id": self.subject_id,
            "data.ticket_id": self.ticket_id,
            "actor.id": self.actor_id,
            "cause": self.cause,
            "site_id": self.site_id,
        }
        query: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        return query | made_between("event", self.since, self.until)


async def list_events(
    wanted: EventFilter, *, limit: int = 50, after: str | None = None, newest_first: bool = True
) -> Page[EfiEvent]:
    return await page(EfiEvent, wanted.query(), limit=limit, after=after, newest_first=newest_first)


async def get_event(event_id: str) -> EfiEvent:
    event = await EfiEvent.find_one({"_id": event_id})
    if event is None:
        raise NotFound.of("event", event_id)
    return event


async def replay(event: EfiEvent) -> EfiEvent:
    """Let a dead letter be tried again, from the first attempt; handlers that have a receipt stay done."""
    now = clock.now()
    return await _bury(event, {"status": EventStatus.pending, "attempts": 0, "available_at": now, "updated_at": now})


async def discard(event: EfiEvent) -> EfiEvent:
    """Give a dead letter up for good; it stays in the log."""
    return await _bury(event, {"status": EventStatus.discarded, "updated_at": clock.now()})


async def _bury(event: EfiEvent, change: dict[str, Any]) -> EfiEvent:
    changed = await EfiEvent.get_pymongo_collection().update_one(
        {"_id": event.id, "status": EventStatus.dead},
        {"$set": {**change, "claimed_by": None, "lease_until": None}, "$inc": {"revision": 1}},
    )
    if not changed.matched_count:
        raise NotDead(f"Event {event.id} is {event.status}; only a dead letter can be replayed or discarded.")
    return await get_event(event.id)


async def follow(wanted: EventFilter, *, last_seen: str | None, seconds: float) -> AsyncIterator[EfiEvent | None]:
    """Events as they are recorded, for `seconds`, oldest first; None whenever there was nothing for a while.

    `last_seen` is the id of the last event that the reader got: what came after it follows first, and what was recorded
    shortly before it may follow once more. Raises NotFound if there is no such event.
    """
    start = clock.now()
    told: dict[str, datetime] = {}
    if last_seen is not None:
        last = await get_event(last_seen)
        start, told = last.created_at - COMMIT_DELAY, {last.id: last.created_at}
    deadline = time.monotonic() + seconds
    recorded = asyncio.Event()
    on_recorded(recorded.set)
    try:
        while True:
            recorded.clear()
            looked = clock.now()
            async for event in _since(wanted, start):
                if event.id not in told:
                    told[event.id] = event.created_at
                    yield event
            if (left := deadline - time.monotonic()) <= 0:
                return
            start = max(start, looked - COMMIT_DELAY)
            told = {id_: at for id_, at in told.items() if at >= start}
            await asyncio.sleep(min(PAUSE_SECONDS, left))
            with contextlib.suppress(TimeoutError):
                # Not wait_for: on Python 3.11 it swallows a cancellation that meets the wake-up.
                async with asyncio.timeout(min(LOOK_SECONDS, left)):
                    await recorded.wait()
            yield None
    finally:
        forget(recorded.set)


async def _since(wanted: EventFilter, start: datetime) -> AsyncIterator[EfiEvent]:
    query, after = replace(wanted, since=start), None
    while True:
        found = await list_events(query, limit=MAX_LIMIT, after=after, newest_first=False)
        for event in found.items:
            yield event
        if (after := found.next) is None:
            return
