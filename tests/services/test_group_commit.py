"""Inserts of many callers share a write, and each learns what became of its own."""

import asyncio
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from app.database import GuardedDatabase
from models.bookkeeping import Migration
from services.group_commit import GroupCommit

pytestmark = pytest.mark.usefixtures("as_system")


def document(name: str) -> dict[str, Any]:
    return Migration(id=name).model_dump(by_alias=True, exclude={"revision_id"})


async def stored(store: GuardedDatabase) -> set[str]:
    return {one["_id"] async for one in store["migrations"].find()}


async def test_a_document_is_stored_before_its_caller_goes_on(store: GuardedDatabase):
    commits = GroupCommit(Migration, "test")

    async def one(number: int) -> None:
        await commits.insert(document(f"m{number}"))
        assert await store["migrations"].find_one({"_id": f"m{number}"}) is not None

    await asyncio.gather(*(one(number) for number in range(50)))


async def test_a_failed_write_fails_for_all_who_shared_it(store: GuardedDatabase, monkeypatch: pytest.MonkeyPatch):
    commits = GroupCommit(Migration, "test")

    async def away(*_: Any, **__: Any) -> None:
        raise AutoReconnect("gone")

    with monkeypatch.context() as patched:
        patched.setattr("app.database.GuardedCollection.insert_many", away)
        asked = (commits.insert(document(f"m{number}")) for number in range(3))
        failures = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(failure) for failure in failures] == [AutoReconnect] * 3
    await commits.insert(document("later"))
    assert await stored(store) == {"later"}


async def test_what_arrived_before_a_cancelled_write_ended_is_no_error(store: GuardedDatabase):
    await Migration(id="m1").insert()
    await GroupCommit(Migration, "test").insert(document("m1"))
    assert await stored(store) == {"m1"}
