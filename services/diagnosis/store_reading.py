"""How the index reads the store: in pieces, and if nobody waits for it, so slowly that matches do not feel it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from models.failure_card import FailureCard
from models.record import Record

BATCH = 250
"""Few enough that decoding them does not hold up the event loop."""
UNHURRIED = 9.0
"""As `idle`: a tenth of the time is spent reading."""

Document = Mapping[str, Any]


async def states(query: dict[str, Any], idle: float = 0.0) -> AsyncIterator[Document]:
    """Revision, time of the last write and status of the cards that a query finds."""
    async for card in _found(FailureCard, query, {"revision": 1, "updated_at": 1, "status": 1}, idle):
        yield card


async def documents(model: type[Record], query: dict[str, Any], idle: float = 0.0) -> AsyncIterator[Document]:
    """Whole documents, as they are stored."""
    async for document in _found(model, query, None, idle):
        yield document


async def _found(
    model: type[Record], query: dict[str, Any], fields: dict[str, int] | None, idle: float
) -> AsyncIterator[Document]:
    """`idle` tells how many times as long as a batch took to wait before the next."""
    cursor = model.get_pymongo_collection().find(query, fields).batch_size(BATCH)
    begun = time.monotonic()
    while batch := await cursor.to_list(BATCH):
        for document in batch:
            yield document
        if idle:
            await asyncio.sleep(idle * (time.monotonic() - begun))
        begun = time.monotonic()
