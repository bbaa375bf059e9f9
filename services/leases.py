"""Named leases: one replica at a time does a piece of work, and a dead one holds it up for seconds only."""

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog
from pymongo.errors import DuplicateKeyError, PyMongoError

from app import clock
from app.tasks import end
from models.bookkeeping import Lease

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.25


@contextlib.asynccontextmanager
async def hold(name: str, *, seconds: float = 30, patience: float = 0) -> AsyncIterator[bool]:
    """Hold the lease `name` for as long as the block runs; yields whether it was to be had within `patience` seconds.

    It is renewed in the background and lasts `seconds` if this process dies. A block that runs on although it cannot
    renew must bear a second one beside it: every piece of work under a lease is repeatable.
    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    duration = timedelta(seconds=seconds)
    deadline = time.monotonic() + patience
    while not (held := await _take(name, holder, duration)) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    if not held:
        yield False
        return
    renewing = asyncio.create_task(_renew(name, holder, duration), name=f"lease-{name}")
    try:
        yield True
    finally:
        await end(renewing)
        await _release(name, holder)


async def _take(name: str, holder: str, duration: timedelta) -> bool:
    """Take the lease if it is free, run out, or held by `holder` already."""
    now = clock.now()
    taken = await Lease.get_pymongo_collection().update_one(
        {"_id": name, "$or": [{"until": {"$lte": now}}, {"holder": holder}]},
        {"$set": {"holder": holder, "until": now + duration, "updated_at": now}, "$inc": {"revision": 1}},
    )
    if taken.matched_count:
        return True
    try:
        await Lease(id=name, holder=holder, until=now + duration).insert()
    except DuplicateKeyError:
        return False
    return True


async def _renew(name: str, holder: str, duration: timedelta) -> None:
    while True:
        await asyncio.sleep(duration.total_seconds() / 3)
        try:
            if not await _take(name, holder, duration):
                log.warning("lease lost", lease=name)
        except PyMongoError as error:
            log.warning("lease not renewed", lease=name, reason=str(error))


async def _release(name: str, holder: str) -> None:
    with contextlib.suppress(PyMongoError):  # then it runs out by itself
        now = clock.now()
        await Lease.get_pymongo_collection().update_one(
            {"_id": name, "holder": holder}, {"$set": {"until": now, "updated_at": now}, "$inc": {"revision": 1}}
        )
