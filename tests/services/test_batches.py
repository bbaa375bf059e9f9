"""Work of many callers is done together, and each gets what became of its own."""

import asyncio

import pytest

from services.batches import Batches


class Counted(Batches[int, dict[int, int]]):
    """Squares numbers; notes what each batch held, and waits before the work until it is let go."""

    def __init__(self) -> None:
        super().__init__(self._squares)
        self.held: list[list[int]] = []
        self.go = asyncio.Event()

    async def _squares(self, numbers: list[int]) -> dict[int, int]:
        self.held.append(list(numbers))
        await self.go.wait()
        return {number: number**2 for number in numbers}


async def test_who_comes_while_a_batch_is_under_way_shares_the_next():
    batches = Counted()
    first = asyncio.create_task(batches.join(0))
    await asyncio.sleep(0)
    later = [asyncio.create_task(batches.join(number)) for number in range(1, 20)]
    await asyncio.sleep(0)
    batches.go.set()
    assert [(await one)[number] for number, one in enumerate([first, *later])] == [n**2 for n in range(20)]
    assert batches.held == [[0], list(range(1, 20))]


async def test_a_batch_begins_after_all_who_share_it_have_asked():
    """So a shared read sees what any of them has written before."""
    stored, batches = set[int](), None

    async def read(_: list[int]) -> set[int]:
        seen = set(stored)
        await asyncio.sleep(0)
        return seen

    batches = Batches(read)

    async def write_then_read(number: int) -> None:
        await asyncio.sleep(0.001 * (number % 5))
        stored.add(number)
        assert number in await batches.join(number)

    await asyncio.gather(*(write_then_read(number) for number in range(50)))


async def test_if_the_worker_is_cancelled_another_works_for_all():
    batches = Counted()
    first, *others = [asyncio.create_task(batches.join(number)) for number in range(3)]
    while not batches.held:
        await asyncio.sleep(0)
    first.cancel()
    batches.go.set()
    assert [(await one)[number] for number, one in enumerate(others, 1)] == [1, 4]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_failure_is_everybodys_and_the_next_batch_goes_on():
    calls = 0

    async def fail_once(numbers: list[int]) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls == 2:
            raise ValueError("not this one")
        return len(numbers)

    batches = Batches(fail_once)
    asked = await asyncio.gather(*(batches.join(number) for number in range(4)), return_exceptions=True)
    assert asked[0] == 1
    assert [type(one) for one in asked[1:]] == [ValueError] * 3
    assert await batches.join(9) == 1
