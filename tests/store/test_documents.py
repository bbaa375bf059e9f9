"""The store's contract: what goes in comes out, and updates touch exactly what they name."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError


async def test_dates_come_back_utc_aware_to_the_millisecond(things):
    local = datetime(2026, 3, 1, 9, 30, 0, 123_000, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    await things.insert_one({"_id": 1, "at": local})

    found = await things.find_one({"_id": 1})

    assert found["at"] == local
    assert found["at"].utcoffset() == timedelta(0)
    assert await things.count_documents({"at": {"$gte": local, "$lt": local + timedelta(milliseconds=1)}}) == 1


@pytest.mark.parametrize("amount", ["0", "-0.01", "1234567890123456789.012345678", "19.90"])
async def test_money_stays_exact(things, amount):
    await things.insert_one({"_id": 1, "price": Decimal128(Decimal(amount))})

    stored = (await things.find_one({"_id": 1}))["price"].to_decimal()

    assert stored == Decimal(amount)
    assert stored.as_tuple().exponent == Decimal(amount).as_tuple().exponent


async def test_money_is_compared_and_added_as_a_number(things):
    await things.insert_many([{"_id": n, "price": Decimal128(p)} for n, p in enumerate(["9.99", "10.00", "100.5"])])

    await things.update_one({"_id": 0}, {"$inc": {"price": Decimal128("0.02")}})

    above = things.find({"price": {"$gt": Decimal128("10")}}).sort("price", -1)
    assert [str(found["price"]) async for found in above] == ["100.5", "10.01"]


async def test_null_missing_and_types_are_told_apart(things):
    await things.insert_many(
        [{"_id": "null", "a": None}, {"_id": "missing"}, {"_id": "text", "a": "1"}, {"_id": "number", "a": 1}]
    )

    async def ids(query):
        return {found["_id"] async for found in things.find(query)}

    assert await ids({"a": None}) == {"null", "missing"}
    assert await ids({"a": {"$exists": False}}) == {"missing"}
    assert await ids({"a": {"$ne": None}}) == {"text", "number"}
    assert await ids({"a": {"$gt": 0}}) == {"number"}
    assert await ids({"a": 1.0}) == {"number"}


async def test_a_conditional_update_says_whether_it_matched(things):
    await things.insert_one({"_id": "evt_1", "state": "pending", "attempts": 0})
    claim = {"$set": {"state": "claimed"}, "$inc": {"attempts": 1}}

    first = await things.update_one({"_id": "evt_1", "state": "pending"}, claim)
    second = await things.update_one({"_id": "evt_1", "state": "pending"}, claim)

    assert (first.matched_count, first.modified_count) == (1, 1)
    assert (second.matched_count, second.modified_count) == (0, 0)
    assert (await things.find_one({"_id": "evt_1"}))["attempts"] == 1


async def test_an_update_without_effect_matches_and_modifies_nothing(things):
    await things.insert_one({"_id": 1, "a": 1})

    result = await things.update_one({"_id": 1}, {"$set": {"a": 1}})

    assert (result.matched_count, result.modified_count) == (1, 0)


async def test_upsert_inserts_once_and_updates_after(things):
    change = {"$set": {"title": "BMS"}, "$setOnInsert": {"made": 1}, "$inc": {"seen": 1}}

    first = await things.update_one({"_id": "fc_1"}, change, upsert=True)
    second = await things.update_one({"_id": "fc_1"}, change, upsert=True)

    assert (first.upserted_id, first.matched_count) == ("fc_1", 0)
    assert (second.upserted_id, second.matched_count) == (None, 1)
    assert await things.find_one() == {"_id": "fc_1", "title": "BMS", "made": 1, "seen": 2}


async def test_replace_checks_the_revision(things):
    await things.insert_one({"_id": 1, "revision": 1, "old": True})

    stale = await things.replace_one({"_id": 1, "revision": 0}, {"revision": 9})
    fresh = await things.replace_one({"_id": 1, "revision": 1}, {"revision": 2})

    assert (stale.matched_count, fresh.matched_count) == (0, 1)
    assert await things.find_one() == {"_id": 1, "revision": 2}


async def test_push_with_slice_keeps_the_newest(things):
    await things.insert_one({"_id": 1, "history": [1, 2]})

    await things.update_one({"_id": 1}, {"$push": {"history": {"$each": [3, 4], "$slice": -3}}})

    assert (await things.find_one())["history"] == [2, 3, 4]


async def test_array_operators(things):
    await things.insert_one({"_id": 1, "tags": ["a"], "parts": [{"id": "p1", "n": 1}, {"id": "p2", "n": 1}]})

    await things.update_one({"_id": 1}, {"$addToSet": {"tags": {"$each": ["a", "b"]}}})
    await things.update_one({"_id": 1, "parts.id": "p2"}, {"$inc": {"parts.$.n": 4}})
    await things.update_one({"_id": 1}, {"$set": {"parts.$[one].n": 7}}, array_filters=[{"one.id": "p1"}])
    assert await things.find_one() == {
        "_id": 1,
        "tags": ["a", "b"],
        "parts": [{"id": "p1", "n": 7}, {"id": "p2", "n": 5}],
    }

    await things.update_one({"_id": 1}, {"$pull": {"parts": {"id": "p1"}, "tags": "a"}})
    assert await things.find_one() == {"_id": 1, "tags": ["b"], "parts": [{"id": "p2", "n": 5}]}


async def test_scalar_operators(things):
    await things.insert_one({"_id": 1, "low": 5, "high": 5, "gone": 1, "deep": {"a": 1, "b": 2}})

    await things.update_one(
        {"_id": 1}, {"$min": {"low": 3}, "$max": {"high": 9}, "$unset": {"gone": ""}, "$set": {"deep.a": 4, "new.x": 1}}
    )

    assert await things.find_one() == {"_id": 1, "low": 3, "high": 9, "deep": {"a": 4, "b": 2}, "new": {"x": 1}}


async def test_an_update_may_be_computed_from_the_document(things):
    await things.insert_one({"_id": 1, "score": 0.995, "wins": 3, "losses": 1})

    await things.update_one(
        {"_id": 1},
        [
            {"$set": {"score": {"$min": [1.0, {"$add": ["$score", 0.01]}]}}},
            {"$set": {"rate": {"$divide": ["$wins", {"$add": ["$wins", "$losses"]}]}}},
        ],
    )

    assert await things.find_one() == {"_id": 1, "score": 1.0, "wins": 3, "losses": 1, "rate": 0.75}


async def test_find_and_modify_returns_the_new_document(things):
    await things.insert_one({"_id": 1, "n": 1})

    found = await things.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}}, return_document=True)

    assert found == {"_id": 1, "n": 2}


async def test_unordered_inserts_keep_the_good_and_name_the_bad(things):
    await things.insert_one({"_id": 1})

    with pytest.raises(BulkWriteError) as caught:
        await things.insert_many([{"_id": 0}, {"_id": 1}, {"_id": 2}, {"_id": 2}, {"_id": 3}], ordered=False)

    assert caught.value.details["nInserted"] == 3
    assert [(e["index"], e["code"]) for e in caught.value.details["writeErrors"]] == [(1, 11000), (3, 11000)]
    assert [found["_id"] async for found in things.find().sort("_id")] == [0, 1, 2, 3]


async def test_ordered_inserts_stop_at_the_first_bad_one(things):
    with pytest.raises(BulkWriteError):
        await things.insert_many([{"_id": 1}, {"_id": 1}, {"_id": 2}])

    assert await things.count_documents({}) == 1


async def test_bulk_write_counts_what_it_did(things):
    result = await things.bulk_write(
        [
            InsertOne({"_id": 1, "n": 0}),
            UpdateOne({"_id": 1}, {"$inc": {"n": 1}}),
            UpdateOne({"_id": 2}, {"$set": {"n": 5}}, upsert=True),
        ]
    )

    assert (result.inserted_count, result.matched_count, result.modified_count, result.upserted_count) == (1, 1, 1, 1)


async def test_a_second_document_with_the_same_id_is_refused(things):
    await things.insert_one({"_id": "fc_1", "title": "first"})

    with pytest.raises(DuplicateKeyError):
        await things.insert_one({"_id": "fc_1", "title": "second"})

    assert (await things.find_one())["title"] == "first"


async def test_update_many_and_delete_count_exactly(things):
    await things.insert_many([{"_id": n, "even": n % 2 == 0} for n in range(10)])

    updated = await things.update_many({"even": True}, {"$set": {"seen": datetime.now(UTC)}})
    deleted = await things.delete_many({"even": False})

    assert (updated.matched_count, deleted.deleted_count) == (5, 5)
    assert await things.count_documents({"seen": {"$exists": True}}) == 5
