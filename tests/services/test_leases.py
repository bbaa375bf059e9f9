"""Of several who ask for a lease, one has it; whoever dies holds it up for its duration only."""

import asyncio
from datetime import timedelta

import pytest

from app import clock
from models.bookkeeping import Lease
from services import leases

pytestmark = pytest.mark.usefixtures("as_system")


async def test_one_at_a_time():
    async with leases.hold("work") as first, leases.hold("work") as second, leases.hold("other") as other:
        assert (first, second, other) == (True, False, True)
    async with leases.hold("work") as again:
        assert again


async def test_many_at_once():
    inside = most = 0

    async def work() -> bool:
        nonlocal inside, most
        async with leases.hold("work", patience=20) as held:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1
            return held

    assert all(await asyncio.gather(*(work() for _ in range(4))))
    assert most == 1


async def test_it_outlasts_its_duration_while_the_holder_lives_and_not_when_it_is_dead():
    async with leases.hold("work", seconds=1):
        first_end = (await Lease.get("work")).until
        async with asyncio.timeout(30):
            while clock.now() <= first_end:
                await asyncio.sleep(0.05)
        async with leases.hold("work") as second:
            assert not second
    # A holder that dies neither renews nor releases.
    assert await leases._take("work", "dead", timedelta(seconds=1))
    async with leases.hold("work") as too_early:
        assert not too_early
    async with leases.hold("work", patience=30) as heir:
        assert heir
