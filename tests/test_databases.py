"""A database that is used again is as good as new."""

from datetime import timedelta
from typing import Any

import pytest
from pymongo import InsertOne, MongoClient
from pymongo.database import Database

from app import clock
from app.database import connect, disconnect, transaction
from app.security import acting_as, system
from models import ALL_DOCUMENTS
from models.bookkeeping import Lease, Migration
from services.repairs import photo_files
from tests import databases


@pytest.fixture
def database(_admin: MongoClient[dict[str, Any]], reused_database: str) -> Database[dict[str, Any]]:
    return _admin[reused_database]


async def test_what_has_been_written_in_whichever_way_is_gone(database: Database[dict[str, Any]], database_url: str):
    for _ in range(2):
        await connect(database_url, database.name, ALL_DOCUMENTS)
        with acting_as(system("test")):
            await Migration(id="alone").insert()
            async with transaction():
                await Migration(id="together").insert()
            lease = Lease(id="work", holder="test", until=clock.now() + timedelta(hours=1))
            await Lease.get_pymongo_collection().bulk_write([InsertOne(lease.model_dump(by_alias=True))])
            await photo_files.put("photo_1", b"content")
        await disconnect()
        before = indexes(database)
        databases.empty(database.client, database.name)
        assert dict.fromkeys(before, 0) == {name: database[name].count_documents({}) for name in before}
        assert indexes(database) == before


def indexes(database: Database[dict[str, Any]]) -> dict[str, set[str]]:
    return {name: set(database[name].index_information()) for name in database.list_collection_names()}
