"""Work by the clock. Every replica has the same timers; a marker in the store lets one of them fire each."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from pymongo.errors import DuplicateKeyError

from app import clock
from app.security import acting_as, system
from app.tasks import end
from models.bookkeeping import Lease

log = structlog.get_logger(__name__)

SLACK = 0.9
"""Share of the interval for which a firing keeps others from it: clocks and schedulers are a little off, and a marker
that lasted the whole interval would now and then swallow the next firing."""


class Timers:
    """Repeats pieces of work. One that fails is logged and tried again when it is next due."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._running: set[asyncio.Task[Any]] = set()

    def every(self, interval: timedelta, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        """Run `work` about every `interval`, as the system, in one replica at a time.

        It is ended when the next firing is due; what it does must be repeatable.
        """
        self._scheduler.add_job(
            self._fire,
            "interval",
            (name, interval, work),
            id=name,
            seconds=interval.total_seconds(),
            # Replicas that were started together would all ask at the same instant.
            jitter=min(1.0, interval.total_seconds() / 20),
        )

    def start(self) -> None:
        self._scheduler.start()

    async def stop(self) -> None:
        """End at once; what runs is cancelled."""
        self._scheduler.shutdown(wait=False)
        await end(*self._running)

    async def _fire(self, name: str, interval: timedelta, work: Callable[[], Awaitable[Any]]) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - the scheduler runs coroutines as tasks
        self._running.add(task)
        try:
            with acting_as(system(f"timer:{name}")):
                if await take_turn(f"timer:{name}", interval * SLACK):
                    async with asyncio.timeout(interval.total_seconds()):
                        await work()
        except Exception:
            log.exception("a timer failed", timer=name)
        finally:
            self._running.discard(task)


async def take_turn(name: str, lasting: timedelta) -> bool:
    """Whether it is this process's turn: True for the first who asks, for nobody else until `lasting` has passed."""
    now = clock.now()
    taken = await Lease.get_pymongo_collection().update_one(
        {"_id": name, "until": {"$lte": now}},
        {"$set": {"until": now + lasting, "updated_at": now}, "$inc": {"revision": 1}},
    )
    if taken.matched_count:
        return True
    try:
        await Lease(id=name, holder="", until=now + lasting).insert()
    except DuplicateKeyError:
        return False
    return True
