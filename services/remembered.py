"""What was read from the store a moment ago, for questions that are asked with every page."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from app.database import written

V = TypeVar("V")
SECONDS, KEPT = 1.0, 4096


class Remembered(Generic[V]):
    """Answers, each kept until this process writes to one of the `collections`, and SECONDS at most: what another
    process writes counts so much later."""

    def __init__(self, *collections: str) -> None:
        self._collections = collections
        self._known: OrderedDict[Hashable, tuple[V, int, float]] = OrderedDict()

    async def answer(self, key: Hashable, read: Callable[[], Awaitable[V]]) -> V:
        """The answer for this key, from `read` if it is not kept. What `read` raises is not kept."""
        # Taken before reading: what is written meanwhile makes the answer stale from the start.
        writes, now = written(*self._collections), time.monotonic()
        known = self._known.pop(key, None)
        if known is None or known[1] != writes or now - known[2] >= SECONDS:
            known = await read(), writes, now
        self._known[key] = known
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return known[0]
