"""Inserts of many callers share a write, and each learns what became of its own."""

import asyncio
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from app.database import GuardedDatabase
from models.bookkeeping import Migration
from services.group_commit import GroupCommit

pytestmark = pytest.mark.usefixtures("as_system")


class Counted(GroupCommit):
    """Notes how many documents each write had, and waits before it until it is let go."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__(Migration, "test")
        self.sizes: list[int] = []
        self.failure = failure
        self.go = asyncio.Event()

    async def _write(self, batch: Any) -> None:
        self.sizes.append(len(batch.documents))
        await self.go.wait()
        await super()._write(batch)


async def stored(store: GuardedDatabase) -> set[str]:
    return {one["_id"] async for one in store["migrations"].find()}


async def test_who_comes_while_a_write_is_under_way_shares_the_next(store: GuardedDatabase):
    commits = Counted()
    asked = [asyncio.create_task(commits.insert(Migration(id=f"m{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    commits.go.set()
    await asyncio.gather(*asked)
    assert len(commits.sizes) <= 3
    assert await stored(store) == {f"m{number}" for number in range(20)}


async def test_a_document_is_stored_before_its_caller_goes_on(store: GuardedDatabase):
    commits = GroupCommit(Migration, "test")

    async def one(number: int) -> None:
        await commits.insert(Migration(id=f"m{number}"))
        assert await store["migrations"].find_one({"_id": f"m{number}"}) is not None

    await asyncio.gather(*(one(number) for number in range(50)))


async def test_if_the_writer_is_cancelled_another_writes_for_all(store: GuardedDatabase):
    commits = Counted()
    first, *others = [asyncio.create_task(commits.insert(Migration(id=f"m{number}"))) for number in range(3)]
    while not commits.sizes:
        await asyncio.sleep(0)
    first.cancel()
    commits.go.set()
    await asyncio.gather(*others)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await stored(store) >= {"m1", "m2"}


async def test_a_failed_write_fails_for_all_who_shared_it(store: GuardedDatabase, monkeypatch: pytest.MonkeyPatch):
    commits = GroupCommit(Migration, "test")

    async def away(*_: Any, **__: Any) -> None:
        raise AutoReconnect("gone")

    with monkeypatch.context() as patched:
        patched.setattr("app.database.GuardedCollection.insert_many", away)
        asked = (commits.insert(Migration(id=f"m{number}")) for number in range(3))
        failures = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(failure) for failure in failures] == [AutoReconnect] * 3
    await commits.insert(Migration(id="later"))
    assert await stored(store) == {"later"}


async def test_what_arrived_before_a_cancelled_write_ended_is_no_error(store: GuardedDatabase):
    await Migration(id="m1").insert()
    await GroupCommit(Migration, "test").insert(Migration(id="m1"))
    assert await stored(store) == {"m1"}
