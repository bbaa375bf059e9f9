"""The store's contract: indexes that decide what may be written."""

import asyncio

import pytest
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure


async def test_a_unique_index_refuses_the_second_and_names_the_key(things):
    await things.create_index("email", unique=True)
    await things.insert_one({"_id": 1, "email": "a@example.com"})

    with pytest.raises(DuplicateKeyError) as caught:
        await things.insert_one({"_id": 2, "email": "a@example.com"})
    with pytest.raises(DuplicateKeyError):
        await things.update_one({"_id": 3}, {"$set": {"email": "a@example.com"}}, upsert=True)

    assert caught.value.details["keyPattern"] == {"email": 1}
    assert await things.count_documents({}) == 1


async def test_a_unique_index_holds_against_concurrent_writers(things):
    await things.create_index([("event", 1), ("handler", 1)], unique=True)

    async def write(n):
        try:
            await things.insert_one({"event": "evt_1", "handler": "weigh", "by": n})
        except DuplicateKeyError:
            return False
        return True

    assert sum(await asyncio.gather(*(write(n) for n in range(20)))) == 1
    assert await things.count_documents({}) == 1


async def test_a_unique_index_counts_a_missing_field_as_null(things):
    await things.create_index("email", unique=True)
    await things.insert_one({"_id": 1})

    with pytest.raises(DuplicateKeyError):
        await things.insert_one({"_id": 2})


async def test_a_partial_unique_index_binds_only_its_part(things):
    await things.create_index("ticket", unique=True, partialFilterExpression={"state": "open"})
    await things.insert_many(
        [{"ticket": 1, "state": "closed"}, {"ticket": 1, "state": "closed"}, {"ticket": 1, "state": "open"}]
    )

    with pytest.raises(DuplicateKeyError):
        await things.insert_one({"ticket": 1, "state": "open"})
    with pytest.raises(DuplicateKeyError):
        await things.update_one({"state": "closed"}, {"$set": {"state": "open"}})

    assert await things.count_documents({"ticket": 1, "state": "open"}) == 1


async def test_a_partial_unique_index_on_existence_lets_absent_fields_be(things):
    await things.create_index("key", unique=True, partialFilterExpression={"key": {"$type": "string"}})
    await things.insert_many([{"_id": 1}, {"_id": 2, "key": None}, {"_id": 3, "key": "a"}])

    with pytest.raises(DuplicateKeyError):
        await things.insert_one({"_id": 4, "key": "a"})


async def test_a_multikey_index_is_unique_across_documents_only(things):
    await things.create_index("codes", unique=True)
    await things.insert_one({"_id": 1, "codes": ["P0A80", "P0A80"]})

    with pytest.raises(DuplicateKeyError):
        await things.insert_one({"_id": 2, "codes": ["U0100", "P0A80"]})

    assert (await things.find_one({"codes": "P0A80"}))["_id"] == 1


async def test_a_multikey_index_on_sub_documents_finds_by_their_field(things):
    await things.create_index("parts.number")
    await things.insert_many([{"_id": n, "parts": [{"number": f"P{n}"}, {"number": "common"}]} for n in range(5)])

    assert [found["_id"] async for found in things.find({"parts.number": "P3"})] == [3]
    assert await things.count_documents({"parts.number": "common"}) == 5
    await things.update_one({"_id": 3}, {"$set": {"parts": []}})
    assert await things.count_documents({"parts.number": {"$in": ["P3", "common"]}}) == 4


async def test_a_unique_index_is_refused_over_duplicates(things):
    await things.insert_many([{"a": 1}, {"a": 1}])

    with pytest.raises(OperationFailure) as caught:
        await things.create_index("a", unique=True)

    assert caught.value.code == 11000


async def test_creating_the_same_indexes_again_does_nothing(things):
    models = [
        IndexModel([("state", ASCENDING), ("due_at", ASCENDING)], name="claim"),
        IndexModel([("created_at", DESCENDING)], name="newest"),
    ]

    await things.create_indexes(models)
    await things.create_indexes(models)

    assert set(await things.index_information()) == {"_id_", "claim", "newest"}


async def test_another_index_under_the_same_name_is_refused(things):
    await things.create_index("a", name="one")

    with pytest.raises(OperationFailure) as caught:
        await things.create_index("b", name="one")

    assert caught.value.code in (85, 86)


async def test_a_dropped_index_binds_no_longer(things):
    await things.create_index("a", unique=True, name="one")
    await things.drop_index("one")

    await things.insert_many([{"a": 1}, {"a": 1}])

    assert await things.count_documents({"a": 1}) == 2


async def test_an_index_reports_its_options(things):
    await things.create_index("until", expireAfterSeconds=60, name="expiry")
    await things.create_index("a", unique=True, partialFilterExpression={"b": True}, name="part")

    known = await things.index_information()

    assert known["expiry"]["expireAfterSeconds"] == 60
    assert known["part"]["unique"]
    assert dict(known["part"]["partialFilterExpression"]) == {"b": True}


async def test_an_update_that_violates_a_unique_index_leaves_the_document_as_it_was(things):
    await things.create_index("a", unique=True)
    await things.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 2, "b": 0}])

    with pytest.raises(DuplicateKeyError):
        await things.update_one({"_id": 2}, {"$set": {"a": 1, "b": 9}})
    with pytest.raises(BulkWriteError):
        await things.insert_many([{"a": 2}, {"a": 3}], ordered=False)

    assert await things.find_one({"_id": 2}) == {"_id": 2, "a": 2, "b": 0}
    assert await things.count_documents({"a": 3}) == 1
