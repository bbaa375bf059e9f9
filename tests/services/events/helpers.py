"""What tests of the processor share: an effect that would show if it happened twice, and short delays."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from app import database
from models.bookkeeping import Migration
from models.enums import EventStatus
from models.event import EfiEvent, EventType
from services.events.handler import Handler, Handlers, handles_as
from services.events.processor import Processor
from services.events.record import record_all

SOON = timedelta(milliseconds=1)
RIGHTS = {"agent:counting": {"migrations": frozenset(database.Access)}}


async def happen(*payloads: Any) -> list[EfiEvent]:
    async with database.transaction():
        return await record_all(list(payloads))


async def count(event: EfiEvent) -> None:
    """An effect that would show if it happened twice. (A migration's free-form result serves as the counter.)"""
    counters = Migration.get_pymongo_collection()
    found = await counters.update_one({"_id": event.subject_id}, {"$inc": {"result.n": 1}})
    if not found.matched_count:
        await Migration(id=event.subject_id, result={"n": 1}).insert()


async def counted() -> Counter[str]:
    return Counter({document.id: document.result["n"] async for document in Migration.find()})


@handles_as("counting")
async def counts(event: EfiEvent) -> dict[str, Any]:
    await count(event)
    return {"counted": event.subject_id}


def table(*handlers: Handler) -> Handlers:
    return {EventType.ticket_created: handlers}


def processor(handlers: Handlers, **options: Any) -> Processor:
    return Processor(handlers, **{"first_delay": SOON, "poll_seconds": 0.02, **options})


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def status_of(event: EfiEvent) -> EventStatus:
    found = await EfiEvent.get(event.id)
    assert found is not None
    return found.status


async def all_processed(number: int) -> bool:
    return await EfiEvent.find({"status": EventStatus.processed}).count() == number


async def is_(event: EfiEvent, status: EventStatus) -> bool:
    return await status_of(event) == status
