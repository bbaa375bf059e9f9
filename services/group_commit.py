"""Durable inserts shared by many callers: see `batches`."""

from collections.abc import Mapping
from typing import Any

from pymongo.errors import BulkWriteError

from app.security import acting_as, system
from models.record import Record
from services.batches import Batches

_DUPLICATE_KEY = 11000


class GroupCommit:
    """Inserts documents of one model, outside of transactions. It belongs to the event loop that uses it.

    Those who share a write are different people, so it is made by the system, under `name`.
    """

    def __init__(self, model: type[Record], name: str) -> None:
        self._model = model
        self._name = name
        self._batches = Batches(self._write)

    async def insert(self, document: Mapping[str, Any]) -> None:
        """Return once the document is stored durably. The store's error goes to all who shared the write."""
        await self._batches.join(document)

    async def _write(self, documents: list[Mapping[str, Any]]) -> None:
        try:
            with acting_as(system(self._name)):
                await self._model.get_pymongo_collection().insert_many(documents, ordered=False)
        except BulkWriteError as error:
            # A write that was cancelled may have arrived all the same.
            if any(one["code"] != _DUPLICATE_KEY for one in error.details["writeErrors"]):
                raise
