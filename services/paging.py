"""Keyset pages: ordered by `_id`, which is ordered by time of creation."""

import base64
from collections.abc import Mapping, Sequence
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
    except ValueError:  # covers what is no base 64, not ASCII or no UTF-8
        raise Invalid.field("after", "is not a cursor that this service gave out") from None


async def page(
    model: type[R],
    query: Mapping[str, Any],
    *,
    also: Mapping[str, Any] | None = None,
    limit: int = 50,
    after: str | None = None,
    newest_first: bool = True,
) -> Page[R]:
    """One page of the documents that match `query`: a flat filter on fields that are indexed together with `_id`.

    `also` holds further conditions, which no index answers: they are checked on what `query` finds. (The embedded store
    answers a query from an index only if the query names nothing else, and one range at most.)
    """
    first, second = dict(query), dict(also or {})
    if after is not None:
        bound = {"$lt" if newest_first else "$gt": _decode(after)}
        has_range = any(isinstance(value, Mapping) for name, value in first.items() if name != "_id")
        stage = second if has_range else first
        stage["_id"] = stage.get("_id", {}) | bound
    order = -1 if newest_first else 1
    if second:
        pipeline = [{"$match": first}, {"$match": second}, {"$sort": {"_id": order}}, {"$limit": limit + 1}]
        found = await (await model.get_pymongo_collection().aggregate(pipeline)).to_list()
        items = [model.model_validate(one) for one in found]
    else:
        items = await model.find(first).sort([("_id", order)]).limit(limit + 1).to_list()
    more = len(items) > limit
    items = items[:limit]
    return Page(items, _encode(items[-1].id) if more else None)


def by_index(conditions: Mapping[str, Any], indexed: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Conditions split for `page`: the one on the first field of `indexed` that they name, and all the others."""
    rest = dict(conditions)
    chosen = next((name for name in indexed if name in rest), None)
    return ({} if chosen is None else {chosen: rest.pop(chosen)}), rest
