"""Finding documents by words that somebody types: each word in any of the fields, in any order and case."""

import re
from collections.abc import Sequence
from typing import Any

MAX_WORDS = 5
MAX_LENGTH = 60


def containing(words: str, fields: Sequence[str]) -> dict[str, Any]:
    """The condition that every word stands in one of the fields. No index answers it: it is for what one narrowed down
    before."""
    patterns = [re.escape(word) for word in words[:MAX_LENGTH].split()[:MAX_WORDS]]
    every = [{"$or": [{field: {"$regex": pattern, "$options": "i"}} for field in fields]} for pattern in patterns]
    return {"$and": every} if every else {}
