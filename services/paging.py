"""Keyset pages: ordered by `_id`, which is ordered by time of creation."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.errors import Invalid
from models.record import Record

R = TypeVar("R", bound=Record)
MAX_LIMIT = 200


@dataclass(frozen=True)
class Page(Generic[R]):
    """`next` is the cursor of the following page, None on the last."""

    items: list[R]
    next: str | None


def _encode(identifier: str) -> str:
    return base64.urlsafe_b64encode(identifier.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Invalid.field("after", "is not a cursor that this service gave out") from None


async def page(
    model: type[R], query: dict[str, Any], *, limit: int = 50, after: str | None = None, newest_first: bool = True
) -> Page[R]:
    """One page of the documents that match `query`: a flat MongoDB filter on fields that are indexed together with `_id`."""
    if after is not None:
        # One flat filter: the embedded store answers no `$and` from an index. A caller's own bounds on `_id` stay.
        query = query | {"_id": query.get("_id", {}) | {"$lt" if newest_first else "$gt": _decode(after)}}
    items = await model.find(query).sort([("_id", -1 if newest_first else 1)]).limit(limit + 1).to_list()
    more = len(items) > limit
    items = items[:limit]
    return Page(items, _encode(items[-1].id) if more else None)
