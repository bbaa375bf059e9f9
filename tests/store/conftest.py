from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    async with AsyncMongoClient(database_url, tz_aware=True, serverSelectionTimeoutMS=10_000) as client:
        yield client


@pytest.fixture
def database(client: AsyncMongoClient[dict[str, Any]], database_name: str) -> AsyncDatabase[dict[str, Any]]:
    return client.get_database(database_name, codec_options=CodecOptions(tz_aware=True))


@pytest.fixture
async def things(database: AsyncDatabase[dict[str, Any]]) -> AsyncCollection[dict[str, Any]]:
    """An empty collection that exists: a transaction then meets no creation of a collection."""
    return await database.create_collection("things")
