"""Durable inserts shared by many callers: whoever comes while one write is under way joins the next.

A store that syncs every commit takes hundreds of single inserts a second, but tens of thousands in batches.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import BulkWriteError, PyMongoError

from app.security import acting_as, system
from models.record import Record

_DUPLICATE_KEY = 11000


@dataclass
class _Batch:
    documents: list[dict[str, Any]] = field(default_factory=list)
    written: bool = False
    failure: PyMongoError | None = None


class GroupCommit:
    """Inserts documents of one model, outside of transactions. It belongs to the event loop that uses it.

    Those who share a write are different people, so it is made by the system, under `name`.
    """

    def __init__(self, model: type[Record], name: str) -> None:
        self._model = model
        self._name = name
        self._open = _Batch()
        self._writing = asyncio.Lock()

    async def insert(self, record: Record) -> None:
        """Return once the document is stored durably. The store's error goes to all who shared the write."""
        batch = self._open
        batch.documents.append(record.model_dump(by_alias=True, exclude={"revision_id"}))
        async with self._writing:
            # Whoever gets here first writes for all of the batch. If they are cancelled, the next one does it again.
            if not batch.written and batch.failure is None:
                await self._write(batch)
        if batch.failure is not None:
            raise batch.failure

    async def _write(self, batch: _Batch) -> None:
        if batch is self._open:
            self._open = _Batch()
        try:
            with acting_as(system(self._name)):
                await self._model.get_pymongo_collection().insert_many(batch.documents, ordered=False)
        except BulkWriteError as error:
            # A write that was cancelled may have arrived all the same.
            if any(one["code"] != _DUPLICATE_KEY for one in error.details["writeErrors"]):
                batch.failure = error
        except PyMongoError as error:
            batch.failure = error
        batch.written = batch.failure is None
