"""Ending what runs in the background."""

import asyncio
from typing import Any

import structlog

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 1.0


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until all have ended; one that had failed, or fails now, is logged.

    A task that goes on is asked again every second. On Python 3.11 `asyncio.wait_for` swallows a cancellation that
    arrives just when what it waits for is done, and the driver opens its connections with it. A cancellation of the
    caller meanwhile is not swallowed, as it would be by suppressing that of the task.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=PATIENCE_SECONDS)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", task=task.get_name(), exc_info=error)
