"""Ending what runs in the background."""

import asyncio
from typing import Any

PATIENCE_SECONDS = 1.0


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until all have ended, however they do.

    A task that goes on is asked again every second: within libraries a cancellation can be lost on Python 3.11.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=PATIENCE_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
