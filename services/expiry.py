"""Removing what has expired: one sweep for all collections that declare an expiry, at a cost that follows what expires.

What has expired does not count, swept or not: who reads such a document asks `has_expired`.
"""

import time
from datetime import timedelta

import structlog
from pymongo.errors import OperationFailure

from app import clock
from models import ALL_DOCUMENTS
from models.record import Record

log = structlog.get_logger(__name__)

NEWEST = timedelta(minutes=1)
"""Length of the first window of time: what expires from one sweep to the next."""
BATCH = 1000
"""Documents that one deletion is meant to remove: match runs keep the embedded store busy for a tenth of a second."""
LONGEST_SECONDS = 30.0
INDEX_NOT_FOUND = 27

EXPIRING: list[type[Record]] = [
    model for model in ALL_DOCUMENTS if issubclass(model, Record) and model.Settings.expiry is not None
]


def has_expired(record: Record) -> bool:
    """Whether the time of a document of these collections is over."""
    field, after = record.Settings.expiry
    instant = getattr(record, field)
    return instant is not None and instant + after <= clock.now()


async def sweep(longest_seconds: float = LONGEST_SECONDS) -> dict[str, int]:
    """Remove what has expired; returns how many documents of each collection that had any.

    Ends after `longest_seconds` at the latest, between two batches; the next sweep goes on. Repeating it, and breaking
    it off, does no harm.
    """
    deadline = time.monotonic() + longest_seconds
    swept = {model.Settings.name: await _sweep(model, deadline) for model in EXPIRING}
    removed = {name: count for name, count in swept.items() if count}
    if removed:
        log.info("removed what had expired", **removed)
    return removed


async def _sweep(model: type[Record], deadline: float) -> int:
    """Goes back from now in windows of time, until before all times. They grow with their distance from now, and shrink
    where one held more than a batch.

    The embedded store reads all that a query matches whatever the limit, so only a bound on the time bounds the work.
    Each window has two ends, or the documents without an instant would be read too. The store checks the time of each
    document as it deletes it: one whose expiry was put off meanwhile stays.
    """
    field, after = model.Settings.expiry
    newest = end = clock.now() - after
    length, removed = NEWEST, 0
    while end > clock.FIRST and time.monotonic() < deadline:
        start = max(end - length, clock.FIRST)
        window = {field: {"$gte": start, "$lt": end}}
        deleted = (await model.get_pymongo_collection().delete_many(window)).deleted_count
        removed += deleted
        end = start
        # Beyond a stretch that is empty, maybe since the last sweep, there may be many: step over a part of it at most.
        longest = max(NEWEST, (newest - end) / 4)
        length = min(max(length * min(2, BATCH / max(deleted, 1)), clock.INSTANT), longest)
    return removed


async def drop_ttl_indexes() -> list[str]:
    """Drop the indexes by which the store itself deletes, which earlier releases made; returns of which collections."""
    dropped = []
    for model in EXPIRING:
        collection = model.get_pymongo_collection()
        for name, index in (await collection.index_information()).items():
            if "expireAfterSeconds" in index:
                try:
                    await collection.drop_index(name)
                except OperationFailure as error:  # another replica may have been first
                    if error.code != INDEX_NOT_FOUND:
                        raise
                dropped.append(collection.name)
    if dropped:
        log.info("dropped the TTL indexes of an earlier release", collections=dropped)
    return dropped
