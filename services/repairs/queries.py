"""Lists within what the actor may see: each condition goes where an index can answer it, the rest is checked after."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from models.record import Record
from services.paging import Page, page

R = TypeVar("R", bound=Record)
Conditions = Mapping[str, Any]


async def visible_page(
    model: type[R],
    visible: Conditions,
    wanted: Conditions,
    indexes: Sequence[Sequence[str]],
    *,
    limit: int = 50,
    after: str | None = None,
) -> Page[R]:
    """One page, newest first, of the documents that meet both `visible` and `wanted`.

    `indexes` lists fields that the model indexes together with `_id`, the most selective first.
    """
    first, rest = split(visible, wanted, indexes)
    return await page(model, first, also=rest, limit=limit, after=after)


def split(visible: Conditions, wanted: Conditions, indexes: Sequence[Sequence[str]]) -> tuple[dict, dict]:
    """The conditions that one index answers, and all the others. Together they say the same as both arguments."""
    both = {**visible, **wanted}
    # Where both speak of a field, what is wanted is narrower or empty; what is visible is then checked after.
    rest = {name: value for name, value in visible.items() if name in wanted and wanted[name] != value}
    chosen = next((fields for fields in indexes if all(name in both for name in fields)), ())
    first = {name: both.pop(name) for name in chosen}
    has_range = any(isinstance(value, Mapping) for value in first.values())
    if "_id" in both and not has_range and "_id" not in rest:
        first["_id"] = both.pop("_id")
    clash = both.keys() & rest.keys()
    if clash:
        return first, {"$and": [rest, both]}
    return first, rest | both
