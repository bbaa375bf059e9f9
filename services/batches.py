"""Work shared by many callers: whoever comes while one batch is under way joins the next.

A store that syncs every commit takes hundreds of single inserts a second, but tens of thousands in batches; and asking
it for twenty documents costs little more than asking for ten. Nobody waits longer than for the batch before their own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Batch(Generic[T, R]):
    items: list[T] = field(default_factory=list)
    result: R | None = None
    done: bool = False
    failure: Exception | None = None


class Batches(Generic[T, R]):
    """Collects items and hands them to `work`, one batch at a time. It belongs to the event loop that uses it.

    Those who share a batch are different people: `work` must not act as any of them.
    """

    def __init__(self, work: Callable[[list[T]], Awaitable[R]]) -> None:
        self._work = work
        self._open: _Batch[T, R] = _Batch()
        self._working = asyncio.Lock()

    async def join(self, item: T) -> R:
        """What `work` has returned for a batch that holds the item and began after this call. What it raises goes to
        all who shared the batch."""
        batch = self._open
        batch.items.append(item)
        async with self._working:
            # Whoever gets here first works for all of the batch. If they are cancelled, the next one does it again.
            if not batch.done:
                await self._do(batch)
        if batch.failure is not None:
            raise batch.failure
        return batch.result

    async def _do(self, batch: _Batch[T, R]) -> None:
        if batch is self._open:
            self._open = _Batch()
        try:
            batch.result = await self._work(batch.items)
        except Exception as error:  # noqa: BLE001 - goes to everybody who waits for it
            batch.failure = error
        batch.done = True
