import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.security import current_actor
from services.events.timers import SLACK, Timers, take_turn

pytestmark = pytest.mark.usefixtures("store")


INTERVAL = timedelta(seconds=0.3)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_of_several_replicas_one_fires():
    fired: list[str] = []

    async def work() -> None:
        fired.append(current_actor().id)

    replicas = [Timers() for _ in range(3)]
    for timers in replicas:
        timers.every(INTERVAL, "tidy", work)
    started = time.monotonic()
    for timers in replicas:
        timers.start()
    await until(lambda: len(fired) >= 4)
    for timers in replicas:
        await timers.stop()
    # Each on its own would have fired three times as often.
    assert len(fired) <= (time.monotonic() - started) / (INTERVAL.total_seconds() * SLACK) + 1
    assert set(fired) == {"system:timer:tidy"}


async def test_a_timer_that_fails_fires_again():
    fired = 0

    async def work() -> None:
        nonlocal fired
        fired += 1
        raise RuntimeError("not today")

    timers = Timers()
    timers.every(timedelta(seconds=0.2), "tidy", work)
    timers.start()
    await until(lambda: fired >= 2)
    await timers.stop()


async def test_stopping_ends_what_runs():
    entered, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        entered.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    timers = Timers()
    timers.every(timedelta(seconds=0.1), "tidy", work)
    timers.start()
    # The interval itself ends the work, too: stop before it does.
    async with asyncio.timeout(30):
        await entered.wait()
    await timers.stop()
    assert ended.is_set()


async def test_a_turn_is_one_askers_until_it_is_over(as_system: None):
    turns = await asyncio.gather(*(take_turn("tidy", timedelta(hours=1)) for _ in range(8)))
    assert sum(turns) == 1
    assert not await take_turn("tidy", timedelta(hours=1))
    assert await take_turn("sweep", timedelta(milliseconds=10))
    await asyncio.sleep(0.02)
    assert await take_turn("sweep", timedelta(milliseconds=10))
