"""Background tasks end when they are asked to, whenever that happens."""

import asyncio
import sys
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from structlog.testing import capture_logs

from app import tasks
from app.tasks import end

STEPS = 30
"""Of the event loop; a connection is opened within fewer."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PATIENCE_SECONDS", 0.02)


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def work() -> None:
    await asyncio.wait_for(asyncio.sleep(0), timeout=60)
    await asyncio.sleep(60)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="wait_for swallows no cancellation any more")
async def test_python_loses_cancellations():
    """Why tasks are asked again."""
    lost = 0
    for count in range(STEPS):
        task = asyncio.create_task(work())
        await steps(count)
        task.cancel()
        await steps(STEPS)
        lost += not task.done()
        task.cancel()
    assert lost


async def test_a_task_ends_at_whichever_step_it_is_asked(impatient: None):
    for count in range(STEPS):
        task = asyncio.create_task(work())
        await steps(count)
        async with asyncio.timeout(10):
            await end(task)
        assert task.cancelled()


async def test_a_task_ends_while_the_driver_opens_a_connection(database_url: str, impatient: None):
    async def ask(client: AsyncMongoClient[Any]) -> None:
        while True:
            await client.admin.command("ping")
            await asyncio.sleep(0.01)

    async with AsyncMongoClient(database_url) as client:
        await client.admin.command("ping")
        for count in range(STEPS):
            # The pool has one connection, so that the second of two who ask opens another.
            asking = [asyncio.create_task(ask(client)) for _ in range(2)]
            await steps(count)
            async with asyncio.timeout(10):
                await end(*asking)
            assert all(task.cancelled() for task in asking)


async def test_who_waits_for_the_end_can_be_cancelled_too():
    leave = asyncio.Event()

    async def stubborn() -> None:
        while not leave.is_set():
            try:
                await leave.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(stubborn())
    await steps(1)
    ending = asyncio.create_task(end(task))
    await steps(3)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    leave.set()
    await task


async def test_a_task_that_failed_is_told():
    async def fail() -> None:
        raise ZeroDivisionError

    task = asyncio.create_task(fail(), name="division")
    await steps(2)
    with capture_logs() as logs:
        await end(task)
    (line,) = logs
    assert (line["event"], line["task"]) == ("a background task failed", "division")
    assert isinstance(line["exc_info"], ZeroDivisionError)
