"""What is believed for a moment without asking the store."""

from typing import Any

import pytest

from app.database import GuardedDatabase, transaction
from models.account import Site
from services import remembered
from services.remembered import Remembered

SITES = Site.Settings.name


class Asked:
    """A question to the store; counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> int:
        self.times += 1
        return await Site.find_all().count()


@pytest.fixture
def known() -> Remembered[int]:
    return Remembered(SITES)


async def test_asks_once_and_again_after_a_write_of_this_process(as_system: None, known: Remembered[int]):
    ask = Asked()
    assert [await known.answer("n", ask) for _ in range(3)] == [0, 0, 0]
    await Site(name="Pune").insert()
    assert [await known.answer("n", ask) for _ in range(3)] == [1, 1, 1]
    assert ask.times == 2


async def test_a_write_counts_once_it_is_committed(as_system: None, known: Remembered[int]):
    ask = Asked()
    await known.answer("n", ask)
    async with transaction():
        await Site(name="Pune").insert()
        assert await known.answer("n", ask) == 0
    assert await known.answer("n", ask) == 1
    with pytest.raises(ZeroDivisionError):
        async with transaction():
            await Site(name="Chennai").insert()
            raise ZeroDivisionError
    assert await known.answer("n", ask) == 1
    assert ask.times == 2


async def test_asks_again_after_a_second(as_system: None, known: Remembered[int], monkeypatch: pytest.MonkeyPatch):
    ask = Asked()
    monkeypatch.setattr(remembered, "SECONDS", 0.0)
    await known.answer("n", ask)
    await known.answer("n", ask)
    assert ask.times == 2


async def test_what_is_written_while_it_is_read_is_not_missed(as_system: None, known: Remembered[int]):
    async def read() -> int:
        count = await Site.find_all().count()
        await Site(name="Pune").insert()
        return count

    assert await known.answer("n", read) == 0
    assert await known.answer("n", Asked()) == 1


async def test_a_failure_is_not_kept(as_system: None, known: Remembered[int]):
    async def fail() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await known.answer("n", fail)
    assert await known.answer("n", Asked()) == 0


async def test_keeps_only_so_many(store: GuardedDatabase, as_system: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remembered, "KEPT", 2)
    known: Remembered[int] = Remembered(SITES)
    asked: dict[str, Any] = {name: Asked() for name in "abc"}
    for name in ("a", "b", "a", "c", "a", "b"):
        await known.answer(name, asked[name])
    assert {name: ask.times for name, ask in asked.items()} == {"a": 1, "b": 2, "c": 1}
