"""Targeted writes that lose no other writer's update."""

from collections.abc import Mapping
from typing import Any, TypeVar

from beanie.odm.utils.encoder import Encoder

from app import clock
from app.errors import Stale
from models.record import Record

R = TypeVar("R", bound=Record)


def encode(value: Any) -> Any:
    """`value` as the store holds it: models become mappings, decimals Decimal128."""
    return Encoder().encode(value)


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
    model = type(record)
    collection = model.get_pymongo_collection()
    body: dict[str, Any] = {
        "$set": {**encode(changes), "updated_at": clock.now()},
        "$inc": {**(inc or {}), "revision": 1},
    }
    if push:
        body["$push"] = encode(push)
    written = await collection.update_one({"_id": record.id, "revision": record.revision, **(guard or {})}, body)
    if not written.matched_count:
        raise Stale(f"{record.id} was changed by somebody else meanwhile.")
    fresh = await collection.find_one({"_id": record.id})
    return model.model_validate(fresh)
