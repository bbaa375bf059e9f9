import asyncio
from datetime import timedelta

import pytest

from app.security import current_actor
from services.events.timers import Timers, take_turn

pytestmark = pytest.mark.usefixtures("store")


async def test_of_several_replicas_one_fires():
    fired: list[str] = []

    async def work() -> None:
        fired.append(current_actor().id)

    replicas = [Timers() for _ in range(3)]
    for timers in replicas:
        timers.every(timedelta(seconds=0.5), "tidy", work)
        timers.start()
    await asyncio.sleep(1.8)
    for timers in replicas:
        await timers.stop()
    assert 2 <= len(fired) <= 4
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
    await asyncio.sleep(1.0)
    await timers.stop()
    assert fired >= 2


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
    await asyncio.wait_for(entered.wait(), 5)
    await timers.stop()
    assert ended.is_set()


async def test_a_turn_is_one_askers_until_it_is_over(as_system: None):
    turns = await asyncio.gather(*(take_turn("tidy", timedelta(seconds=0.3)) for _ in range(8)))
    assert sum(turns) == 1
    assert not await take_turn("tidy", timedelta(seconds=0.3))
    await asyncio.sleep(0.35)
    assert await take_turn("tidy", timedelta(seconds=0.3))
