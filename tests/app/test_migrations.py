"""Migration steps run once per store and in order, repeat after a crash, and never beside another replica's."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app import migrations
from app.database import connect, disconnect
from app.errors import Unavailable
from app.migrations import Step, migrate
from app.security import acting_as, system
from models import ALL_DOCUMENTS
from models.bookkeeping import Migration
from models.symptom import Symptom
from services import leases


@pytest.fixture(autouse=True)
async def _store(database_url: str, database_name: str) -> AsyncIterator[None]:
    await connect(database_url, database_name, ALL_DOCUMENTS)
    yield
    await disconnect()


class Recorder:
    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fail = ""

    def step(self, name: str) -> Step:
        async def run() -> dict[str, int]:
            self.ran.append(name)
            await Symptom.get_pymongo_collection().update_one({"_id": "sym_old"}, {"$set": {"seen": True}})
            await asyncio.sleep(0.02)
            if name == self.fail:
                raise ConnectionError("the store went away")
            return {"changed": 1}

        return Step(name, run)


async def test_steps_run_once_and_in_order():
    recorder = Recorder()
    steps = [recorder.step("0001_first"), recorder.step("0002_second")]

    assert await migrate(steps[:1]) == ["0001_first"]
    assert await migrate(steps) == ["0002_second"]
    assert await migrate(steps) == []

    assert recorder.ran == ["0001_first", "0002_second"]
    with acting_as(system("test")):
        assert {m.id: m.result async for m in Migration.find_all()} == {
            "0001_first": {"changed": 1},
            "0002_second": {"changed": 1},
        }


async def test_a_step_that_broke_off_runs_again_and_later_ones_wait():
    recorder = Recorder()
    steps = [recorder.step("0001_first"), recorder.step("0002_second")]
    recorder.fail = "0001_first"
    with pytest.raises(ConnectionError):
        await migrate(steps)

    recorder.fail = ""
    assert await migrate(steps) == ["0001_first", "0002_second"]
    assert recorder.ran == ["0001_first", "0001_first", "0002_second"]


async def test_replicas_that_start_together_migrate_once():
    recorder = Recorder()
    steps = [recorder.step("0001_first")]

    done = await asyncio.gather(*(migrate(steps) for _ in range(3)))

    assert sorted(done) == [[], [], ["0001_first"]]
    assert recorder.ran == ["0001_first"]


async def test_a_replica_that_does_not_finish_is_not_waited_for_without_end():
    with acting_as(system("other replica")):
        async with leases.hold("migrations"):
            with pytest.raises(Unavailable):
                await migrate([Recorder().step("0001_first")], patience=0.1)


@pytest.mark.parametrize("names", [["0002_b", "0001_a"], ["0001_a", "0001_a"]])
async def test_steps_out_of_order_are_a_mistake(names: list[str]):
    with pytest.raises(ValueError, match="in order"):
        await migrate([Recorder().step(name) for name in names])


async def test_the_released_steps_are_in_order():
    assert await migrate(migrations.STEPS) == [step.name for step in migrations.STEPS]
