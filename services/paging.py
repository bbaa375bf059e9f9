"""Keyset pages: ordered by `_id`, which is ordered by time of creation."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from app.errors import Invalid
from app.ids import earlier, earliest_id
from models.record import Record

R = TypeVar("R", bound=Record)
MAX_LIMIT = 200
CLOCK_SKEW = timedelta(minutes=5)
"""How far the clocks of two replicas may differ: ids carry the time of the replica that made them."""
LONGEST_REACH = timedelta(days=365 * 20)


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
    ranged = any(isinstance(value, Mapping) for value in first.values())
    items: list[R] = []
    for window in _windows(model, after, newest_first=newest_first, whole=ranged or "_id" in first):
        stage = second if ranged and "_id" not in first else first
        bounded = {**stage, "_id": stage.get("_id", {}) | window} if window else stage
        stages = (first, bounded) if stage is second else (bounded, second)
        items += await _matching(model, *stages, limit=limit + 1 - len(items), newest_first=newest_first)
        if len(items) > limit:
            return Page(items[:limit], _encode(items[limit - 1].id))
    return Page(items, None)


def _windows(model: type[Record], after: str | None, *, newest_first: bool, whole: bool) -> Iterator[dict[str, str]]:
    """Bounds on `_id` that together cover everything beyond the cursor `after`, nearest first.

    The embedded store reads all that matches, whatever the limit: so a page looks back ten seconds, then eight times as
    far, and so on, until it is full. `whole` asks for one window.
    """
    bound = {} if after is None else {"$lt" if newest_first else "$gt": _decode(after)}
    if whole or not newest_first:
        yield bound
        return
    start = bound["$lt"] if bound else model.model_fields["id"].get_default(call_default_factory=True)
    reach = timedelta(seconds=10)
    while reach < LONGEST_REACH:
        try:
            lower = earlier(start, reach)
        except ValueError:
            raise Invalid.field("after", "is not a cursor that this service gave out") from None
        yield bound | {"$gte": lower}
        bound, reach = {"$lt": lower}, reach * 8
    yield bound


async def _matching(
    model: type[R], first: Mapping[str, Any], second: Mapping[str, Any], *, limit: int, newest_first: bool
) -> list[R]:
    order = -1 if newest_first else 1
    if not second:
        return await model.find(first).sort([("_id", order)]).limit(limit).to_list()
    pipeline = [{"$match": first}, {"$match": second}, {"$sort": {"_id": order}}, {"$limit": limit}]
    found = await (await model.get_pymongo_collection().aggregate(pipeline)).to_list()
    return [model.model_validate(one) for one in found]


def made_between(kind: str, since: datetime | None, until: datetime | None) -> dict[str, Any]:
    """Conditions for documents of this kind (see `app.ids`) made at `since` or later and before `until`.

    The range of ids is what the indexes know; the instant itself is exact.
    """
    made: dict[str, datetime] = {}
    ids: dict[str, str] = {}
    if since is not None:
        made["$gte"], ids["$gte"] = since, earliest_id(kind, since - CLOCK_SKEW)
    if until is not None:
        made["$lt"], ids["$lt"] = until, earliest_id(kind, until + CLOCK_SKEW)
    return {"created_at": made, "_id": ids} if made else {}


def by_index(conditions: Mapping[str, Any], indexed: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Conditions split for `page`: the one on the first field of `indexed` that they name, and all the others."""
    rest = dict(conditions)
    chosen = next((name for name in indexed if name in rest), None)
    return ({} if chosen is None else {chosen: rest.pop(chosen)}), rest
