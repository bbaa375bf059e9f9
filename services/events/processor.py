"""Works through the event log, in every replica at once.

Each worker takes a batch of due events under a lease, runs their handlers, and marks the batch in one write. Delivery
is at least once: a lease that runs out, of a process that died, lets the next worker take the event again. The receipt,
written in the same transaction as a handler's effect, makes the effect happen once.

Events are taken in the order in which they were recorded. That is the rule and not a promise: workers overtake each
other, a failed event waits for its next attempt while later ones go on, and a dead letter may be replayed days later.
Handlers are written so that it does not matter. All workers but the first prefer what has just happened: a ticket that
somebody waits for does not queue behind the thousands of events that an import has left.
"""

import asyncio
import contextlib
import os
import random
import secrets
import socket
import time
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError, PyMongoError

from app import clock
from app.database import in_transaction
from app.security import acting_as, agent, system
from app.tasks import end
from models.enums import EventStatus
from models.event import EfiEvent, EventReceipt
from services.events import metrics
from services.events.handler import Handler, Handlers
from services.events.record import forget, on_recorded

log = structlog.get_logger(__name__)

HANDLER_SECONDS = 50.0
"""A handler that takes longer is ended: MongoDB aborts a transaction after 60 s anyway."""
LONGEST_DELAY = timedelta(minutes=5)
MARK_SECONDS = 0.2
"""What is done is marked at least this often, so that little is looked at again after a crash."""
FRESH = timedelta(seconds=3)
FRESH_BATCH = 8
"""Few at a time, so that what happens next does not wait long."""
READ_AHEAD = 1000
"""Due events are looked up in stretches: on a long queue one look-up costs as much as the queue is long."""


@dataclass(slots=True)
class Tally:
    """What became of the events of one pass."""

    processed: int = 0
    failed: int = 0
    dead: int = 0

    @property
    def total(self) -> int:
        return self.processed + self.failed + self.dead

    def __iadd__(self, other: "Tally") -> "Tally":
        self.processed += other.processed
        self.failed += other.failed
        self.dead += other.dead
        return self


class Processor:
    """Runs `handlers` for every recorded event.

    `lease_seconds` is how long a dead process holds up its events; `first_delay` the pause after a first failure, which
    doubles with each further one, give or take a half.
    """

    def __init__(
        self,
        handlers: Handlers,
        *,
        lease_seconds: float = 30,
        max_attempts: int = 8,
        first_delay: timedelta = timedelta(seconds=1),
        poll_seconds: float = 0.5,
        workers: int = 2,
        batch: int = 32,
    ) -> None:
        self.handlers = handlers
        self.lease = timedelta(seconds=lease_seconds)
        self.max_attempts = max_attempts
        self.first_delay = first_delay
        self.poll_seconds = poll_seconds
        self.workers = workers
        self.batch = batch
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._claims = 0
        self._due: deque[tuple[str, int, int]] = deque()
        self._look_for_abandoned_at = clock.now()
        self._claiming = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *, alone: bool = False) -> None:
        """Begin to work in the background. `alone` says that no other process uses the store, so that every claim found
        is a dead one's and need not wait for its lease to run out."""
        if alone:
            with acting_as(system("events")):
                # The attempt stays counted: what a process had in hand when it died may be what killed it.
                await EfiEvent.get_pymongo_collection().update_many(
                    {"status": EventStatus.processing}, {"$set": FREE, "$inc": {"revision": 1}}
                )
        on_recorded(self._wake.set)
        self._stopping = False
        self._tasks = [
            asyncio.create_task(self._work(prefer_fresh=number > 0), name=f"events-{number}")
            for number in range(self.workers)
        ]

    async def stop(self) -> None:
        """Finish the events in hand, give back those not begun, and end."""
        if not self._tasks:
            return
        self._stopping = True
        self._wake.set()
        forget(self._wake.set)
        await asyncio.gather(*self._tasks)
        self._tasks = []

    @property
    def running(self) -> bool:
        """Whether every worker is at work."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def process_pending(self, limit: int) -> Tally:
        """Work through up to `limit` due events now, beside the workers; returns when they are done."""
        tally = Tally()
        with acting_as(system("events")):
            while tally.total < limit:
                done = await self._pass(min(self.batch, limit - tally.total))
                if not done.total:
                    break
                tally += done
        return tally

    async def _work(self, *, prefer_fresh: bool) -> None:
        limit = FRESH_BATCH if prefer_fresh else self.batch
        with acting_as(system("events")):
            while not self._stopping:
                self._wake.clear()
                try:
                    done = await self._pass(limit, prefer_fresh=prefer_fresh)
                except PyMongoError as error:
                    # The store is away or another writer was quicker; leases and receipts make trying again safe.
                    log.warning("the events wait", reason=str(error))
                    done = Tally()
                if not done.total and not self._stopping:
                    with contextlib.suppress(TimeoutError):
                        # Not wait_for: on Python 3.11 it swallows a cancellation that meets the wake-up.
                        async with asyncio.timeout(self.poll_seconds * random.uniform(0.8, 1.2)):
                            await self._wake.wait()

    async def _pass(self, limit: int, *, prefer_fresh: bool = False) -> Tally:
        claim, events = await self._claim(limit, prefer_fresh=prefer_fresh)
        if not events:
            return Tally()
        renewal = asyncio.create_task(self._keep_lease(claim), name="event-lease")
        marks: list[UpdateOne] = []
        begun = 0
        written = time.monotonic()
        tally = Tally()
        try:
            receipts = await self._receipts(events)
            for event in events:
                if self._stopping:
                    break
                tally += await self._handle(event, receipts, marks)
                begun += 1
                if time.monotonic() - written > MARK_SECONDS:
                    await _write(marks)
                    marks, written = [], time.monotonic()
        finally:
            await end(renewal)
            await _write(marks + [_update(event.id, event.revision, FREE, attempts=-1) for event in events[begun:]])
        return tally

    async def _claim(self, limit: int, *, prefer_fresh: bool = False) -> tuple[str, list[EfiEvent]]:
        """Up to `limit` due events that nobody else works on, and the name they are claimed under."""
        async with self._claiming:
            while True:
                candidates = await self._fresh(limit) if prefer_fresh else {}
                if not candidates and not self._due:
                    self._due.extend(await self._look_up())
                candidates = candidates or self._next(limit)
                if not candidates:
                    return "", []
                self._claims += 1
                claim = f"{self.name}:{self._claims}"
                now = clock.now()
                change = {
                    "status": EventStatus.processing,
                    "claimed_by": claim,
                    "lease_until": now + self.lease,
                    "updated_at": now,
                }
                await _write([_update(id_, seen, change, attempts=1) for id_, seen in candidates.items()])
                events = await EfiEvent.find({"_id": {"$in": list(candidates)}}).sort([("_id", 1)]).to_list()
                if mine := [event for event in events if event.claimed_by == claim]:
                    return claim, mine

    async def _fresh(self, limit: int) -> dict[str, int]:
        """Ids and revisions of events that have just become due for the first time, the newest ones."""
        now = clock.now()
        # The short range makes the look-up cheap however long the queue is.
        just_due = {"status": EventStatus.pending, "available_at": {"$gte": now - FRESH, "$lt": now + clock.INSTANT}}
        found = EfiEvent.get_pymongo_collection().find(just_due, FIELDS).sort([("available_at", -1), ("_id", -1)])
        return {
            event["_id"]: event["revision"] for event in await found.limit(limit).to_list() if not event["attempts"]
        }

    def _next(self, limit: int) -> dict[str, int]:
        """Ids and revisions of what to claim together.

        An event that was attempted before is taken by itself: should it be what killed a process, it must not take
        those that were claimed with it along, time and again, until all of them are dead letters.
        """
        batch: dict[str, int] = {}
        while self._due and len(batch) < limit:
            event_id, revision, attempts = self._due[0]
            if attempts and batch:
                break
            batch[event_id] = revision
            self._due.popleft()
            if attempts:
                break
        return batch

    async def _look_up(self) -> list[tuple[str, int, int]]:
        """Id, revision and attempts of due events: those whose worker has died first, then by when they became due."""
        now = clock.now()
        collection = EfiEvent.get_pymongo_collection()
        # Less than the next instant: by "$lte" the embedded store misses what equals where the index goes on behind it.
        waiting = collection.find({"status": EventStatus.pending, "available_at": {"$lt": now + clock.INSTANT}}, FIELDS)
        due: list[dict[str, Any]] = []
        if now >= self._look_for_abandoned_at:
            # Rare, so not asked before each batch.
            abandoned = collection.find({"status": EventStatus.processing, "lease_until": {"$lte": now}}, FIELDS)
            due += await abandoned.limit(READ_AHEAD).to_list()
            self._look_for_abandoned_at = now + self.lease / 4
        due += await waiting.sort([("available_at", 1), ("_id", 1)]).limit(READ_AHEAD).to_list()
        return [(found["_id"], found["revision"], found["attempts"]) for found in due]

    async def _keep_lease(self, claim: str) -> None:
        while True:
            await asyncio.sleep(self.lease.total_seconds() / 3)
            try:
                await EfiEvent.get_pymongo_collection().update_many(
                    {"status": EventStatus.processing, "claimed_by": claim},
                    {"$set": {"lease_until": clock.now() + self.lease}},
                )
            except PyMongoError as error:
                log.warning("a lease could not be renewed", reason=str(error))

    async def _receipts(self, events: list[EfiEvent]) -> dict[str, dict[str, Any]]:
        """Results of the handlers whose effect is in the store already, by receipt."""
        found = EventReceipt.find({"event_id": {"$in": [event.id for event in events]}})
        return {receipt.id: receipt.result async for receipt in found}

    async def _handle(self, event: EfiEvent, receipts: dict[str, dict[str, Any]], marks: list[UpdateOne]) -> Tally:
        """Run every handler of the event; one that fails does not keep the others from their work."""
        results, errors = [], []
        if event.attempts > self.max_attempts:
            errors.append("Its lease ran out again and again: whoever works on it dies or hangs.")
        else:
            for handler in self.handlers.get(event.event_type, ()):
                try:
                    with metrics.HANDLER_SECONDS.labels(handler.name).time():
                        async with asyncio.timeout(HANDLER_SECONDS):
                            result = await self._once(handler, event, receipts)
                    results.append({"handler": handler.name, "result": result, "finished_at": clock.now()})
                except Exception as error:  # whatever a handler raises is its event's failure, no more
                    log.warning("a handler failed", event_id=event.id, handler=handler.name, exc_info=error)
                    errors.append(f"{handler.name}: {type(error).__name__}: {error}"[:2000])
        now = clock.now()
        metrics.LAG_SECONDS.observe(max(0.0, (now - event.available_at).total_seconds()))
        tally, change = self._outcome(event, errors, now)
        change |= {"results": results, "lease_until": None, "updated_at": now}
        marks.append(_update(event.id, event.revision, change))
        return tally

    def _outcome(self, event: EfiEvent, errors: list[str], now: Any) -> tuple[Tally, dict[str, Any]]:
        if not errors:
            metrics.EVENTS.labels(event.event_type, "processed").inc()
            return Tally(processed=1), {"status": EventStatus.processed, "processed_at": now, "error": ""}
        error = "\n".join(errors)
        if event.attempts >= self.max_attempts:
            metrics.EVENTS.labels(event.event_type, "dead").inc()
            log.error("an event became a dead letter", event_id=event.id, event_type=event.event_type, error=error)
            return Tally(dead=1), {"status": EventStatus.dead, "error": error}
        metrics.EVENTS.labels(event.event_type, "failed").inc()
        return Tally(failed=1), {**FREE, "available_at": now + self._delay(event.attempts), "error": error}

    def _delay(self, attempts: int) -> timedelta:
        # The jitter keeps events that failed together, of one cause, from coming back together.
        return min(LONGEST_DELAY, self.first_delay * 2 ** (attempts - 1)) * random.uniform(0.5, 1.5)

    async def _once(self, handler: Handler, event: EfiEvent, receipts: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """The handler's effect and its receipt, in one transaction; nothing if the receipt is there."""
        receipt_id = f"{event.id}:{handler.name}"
        if receipt_id in receipts:
            return receipts[receipt_id]
        who = agent(handler.agent, on_behalf_of=event.actor.on_behalf_of or event.actor.id, cause=event.id)

        async def work() -> dict[str, Any]:
            with acting_as(who):
                result = await handler.run(event) or {}
            await EventReceipt(id=receipt_id, event_id=event.id, handler=handler.name, result=result).insert()
            return result

        try:
            return await in_transaction(work)
        except DuplicateKeyError:
            # Another worker, who took the event when its lease ran out here, was quicker; or else the handler erred.
            receipt = await EventReceipt.find_one({"_id": receipt_id})
            if receipt is None:
                raise
            return receipt.result


FIELDS = {"_id": 1, "revision": 1, "attempts": 1}
FREE = {"status": EventStatus.pending, "claimed_by": None, "lease_until": None}


def _update(event_id: str, revision: int, change: dict[str, Any], *, attempts: int = 0) -> UpdateOne:
    """A change of an event as it was read. The revision tells whether the claim still holds: who takes the event next
    raises it."""
    counts = {"revision": 1, "attempts": attempts}
    return UpdateOne({"_id": event_id, "revision": revision}, {"$set": change, "$inc": counts})


async def _write(updates: list[UpdateOne]) -> None:
    """Within a transaction, since that costs one sync to disk for all of them."""
    if updates:
        await in_transaction(lambda: EfiEvent.get_pymongo_collection().bulk_write(updates, ordered=False))
