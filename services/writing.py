"""Targeted writes that lose no other writer's update."""

import functools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from beanie.odm.utils.encoder import Encoder
from bson import Decimal128
from pymongo.asynchronous.collection import AsyncCollection

from app import clock
from app.database import in_transaction
from app.errors import Stale
from models.record import Record

R = TypeVar("R", bound=Record)


def encode(value: Any) -> Any:
    """`value` as the store holds it: models become mappings, decimals Decimal128."""
    return Encoder().encode(value)


def stored_form(record: Record) -> dict[str, Any]:
    """A whole document as the store holds it: what Beanie makes of it, in an eighth of the time. For bulk writes."""
    values = record.model_dump(exclude={"id", "revision_id"})
    return {"_id": record.id} | {name: _storable(value) for name, value in values.items()}


def _storable(value: Any) -> Any:
    match value:
        case dict():
            return {name: _storable(inner) for name, inner in value.items()}
        case list():
            return [_storable(inner) for inner in value]
        case Decimal():
            return Decimal128(value)
        case Enum():
            return value.value
        case _:
            return value


async def insert_many(records: Sequence[Record]) -> None:
    """Insert documents of one model in one round trip."""
    if records:
        await type(records[0]).get_pymongo_collection().insert_many([stored_form(record) for record in records])


async def update(
    record: R,
    changes: Mapping[str, Any],
    *,
    push: Mapping[str, Any] | None = None,
    inc: Mapping[str, float] | None = None,
    guard: Mapping[str, Any] | None = None,
) -> R:
    """Change a document that was read before, and return it fresh.

    `changes`, `push` and `inc` are the bodies of $set, $push and $inc in the model's own values. The write happens only
    if the document still has the revision that `record` has, and meets `guard` (a filter); else raises Stale.
    `updated_at` and `revision` advance with every write.
    """
    freed = {name for name in _unique_fields(type(record)) & changes.keys() if changes[name] != getattr(record, name)}
    if freed:
        return await in_transaction(lambda: _update(record, changes, push, inc, guard, freed))
    return await _update(record, changes, push, inc, guard, freed)


async def _update(
    record: R,
    changes: Mapping[str, Any],
    push: Mapping[str, Any] | None,
    inc: Mapping[str, float] | None,
    guard: Mapping[str, Any] | None,
    freed: set[str],
) -> R:
    model = type(record)
    collection = model.get_pymongo_collection()
    as_read = {"_id": record.id, "revision": record.revision, **(guard or {})}
    if freed:
        await _move_keys(collection, as_read, encode({name: changes[name] for name in freed}))
    body: dict[str, Any] = {
        "$set": {**encode(changes), "updated_at": clock.now()},
        "$inc": {**(inc or {}), "revision": 1},
    }
    if push:
        body["$push"] = encode(push)
    written = await collection.update_one(as_read, body)
    if not written.matched_count:
        raise Stale(f"{record.id} was changed by somebody else meanwhile.")
    fresh = await collection.find_one({"_id": record.id})
    return model.model_validate(fresh)


async def _move_keys(collection: AsyncCollection, as_read: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    """Give a document new values in its unique fields by storing it anew, within the running transaction.

    The embedded store never frees a unique key that an update has changed: the old value would stay taken until the
    index is built again. Deleting does free it.
    """
    stored = await collection.find_one(as_read)
    if stored is not None:
        await collection.delete_one({"_id": stored["_id"]})
        await collection.insert_one({**stored, **keys})


@functools.cache
def _unique_fields(model: type[Record]) -> frozenset[str]:
    unique = [index.document["key"] for index in model.Settings.indexes if index.document.get("unique")]
    return frozenset(name for key in unique for name in key)
