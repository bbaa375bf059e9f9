"""Finding documents by words that somebody types: each word in any of the fields, in any order and case."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from models.record import Record

R = TypeVar("R", bound=Record)
MAX_WORDS = 5
MAX_LENGTH = 60
READ = 20_000
"""Documents that are looked at; beyond, the narrower conditions must do."""


async def containing(
    model: type[R], narrowed: Mapping[str, Any], words: str, fields: Sequence[str], *, limit: int
) -> list[R]:
    """Documents that match `narrowed`, which an index answers, and hold every word; newest first.

    The words are compared here: the embedded store takes a hundred times as long for a pattern.
    """
    wanted = words[:MAX_LENGTH].casefold().split()[:MAX_WORDS]
    collection = model.get_pymongo_collection()
    rows = await collection.find(narrowed, dict.fromkeys(fields, 1)).limit(READ).to_list() if wanted else []
    found = [row["_id"] for row in rows if _holds(" ".join(str(row.get(field, "")) for field in fields), wanted)]
    ids: Mapping[str, Any] = {"_id": {"$in": sorted(found, reverse=True)[:limit]}} if wanted else narrowed
    return await model.find(ids).sort([("_id", -1)]).limit(limit).to_list()


def _holds(text: str, words: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in words)
