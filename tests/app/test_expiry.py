"""The running service removes what has expired, and takes over from the TTL indexes of earlier releases."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from app import clock, lifespan
from app.settings import Settings
from models.record import Record
from services import expiry
from services.expiry import EXPIRING
from tests.support import running, settings_for_tests


@pytest.fixture
def settings(database_url: str, database_name: str, tmp_path: Path) -> Settings:
    """Events are left to others: what has expired is removed all the same."""
    return settings_for_tests(database_url, database_name, tmp_path, process_events=False)


@pytest.fixture
async def database(database_url: str, database_name: str) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    async with AsyncMongoClient(database_url, tz_aware=True) as client:
        yield client[database_name]


async def test_the_service_sweeps_by_the_clock(
    settings: Settings, database: AsyncDatabase[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lifespan, "EXPIRY_INTERVAL", timedelta(seconds=0.5))
    async with running(settings), asyncio.timeout(30):
        await database.match_runs.insert_one({"_id": "never", "expires_at": None})
        await database.match_runs.insert_one({"_id": "old", "expires_at": clock.now()})
        while await database.match_runs.count_documents({"_id": "old"}):
            await asyncio.sleep(0.05)
        assert await database.match_runs.count_documents({"_id": "never"}) == 1


def plain(model: type[Record]) -> str:
    return f"{model.Settings.expiry.field}_1__id_1"


async def test_a_store_of_an_earlier_release_loses_its_ttl_indexes(
    settings: Settings, database: AsyncDatabase[dict[str, Any]]
):
    for model in EXPIRING:
        field, after = model.Settings.expiry
        seconds = round(after.total_seconds())
        await database[model.Settings.name].create_index(field, expireAfterSeconds=seconds)
    await database.match_runs.insert_one({"_id": "never", "expires_at": None})

    async with running(settings):
        for model in EXPIRING:
            indexes = await database[model.Settings.name].index_information()
            assert not [name for name, index in indexes.items() if "expireAfterSeconds" in index]
            assert plain(model) in indexes
        assert await database.match_runs.count_documents({}) == 1
        assert await expiry.drop_ttl_indexes() == []


async def test_an_earlier_release_finds_room_for_its_indexes_and_replicas_drop_them_together(
    settings: Settings, database: AsyncDatabase[dict[str, Any]]
):
    async with running(settings):
        for model in EXPIRING:
            collection = database[model.Settings.name]
            await collection.create_index(model.Settings.expiry.field, expireAfterSeconds=1_000_000)
            assert plain(model) in await collection.index_information()

        await asyncio.gather(*(expiry.drop_ttl_indexes() for _ in range(3)))

        for model in EXPIRING:
            indexes = await database[model.Settings.name].index_information()
            assert plain(model) in indexes
            assert f"{model.Settings.expiry.field}_1" not in indexes
