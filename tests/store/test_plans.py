"""The store's contract: the forms of query that are answered from an index.

SecantusDB uses an index only if the query names nothing but a prefix of its fields: equalities first, then at most one
range or `$in`, in any order. With one condition more, an `$and`, an `$or` or a `$ne` it reads the whole collection,
`_id` or not. A second `$match` stage takes further conditions without that price.
"""

from datetime import UTC, datetime, timedelta

import pytest
from pymongo import AsyncMongoClient

from tests.query_plans import stages, watched

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
INDEXED = [
    {"_id": 7},
    {"_id": {"$in": [1, 2, 3]}},
    {"_id": {"$gte": 10, "$lt": 20}},
    {"_id": 7, "revision": 1},
    {"site": "s1"},
    {"_id": 9, "site": "s1"},
    {"site": "s1", "_id": {"$lt": 100}},
    {"site": "s1", "at": {"$gte": NOW, "$lt": NOW + HOUR}},
    {"site": "s1", "at": NOW + HOUR / 10},
    {"site": "s1", "at": {"$in": [NOW + HOUR / 10]}},
    {"codes": "c3"},
    {"codes": {"$in": ["c3", "c4"]}},
    {"title": {"$gte": "T12", "$lt": "T13"}},
    {"until": {"$gte": NOW, "$lt": NOW + HOUR}},
]


@pytest.fixture
async def indexed(things):
    await things.create_index([("_id", 1), ("revision", 1)])
    await things.create_index([("site", 1), ("at", 1)])
    await things.create_index([("site", 1), ("_id", -1)])
    await things.create_index("codes")
    await things.create_index("title")
    await things.create_index([("until", 1), ("_id", 1)])
    await things.insert_many(
        [
            {
                "_id": n,
                "revision": 1,
                "site": f"s{n % 4}",
                "at": NOW + n * HOUR / 10,
                "codes": [f"c{n % 9}"],
                "title": f"T{n}",
                "until": None if n % 2 else NOW + n * HOUR / 10,
            }
            for n in range(500)
        ]
    )
    return things


@pytest.mark.parametrize("query", INDEXED)
async def test_a_find_is_answered_from_an_index(indexed, query):
    plan = (await indexed.find(query).explain())["queryPlanner"]["winningPlan"]

    assert stages(plan) & {"IXSCAN", "IDHACK", "EXPRESS_IXSCAN"}
    assert "COLLSCAN" not in stages(plan)
    assert await indexed.count_documents(query) > 0


async def test_a_second_match_stage_keeps_the_index(database, indexed):
    first, second = {"site": "s1", "at": {"$lt": NOW + 20 * HOUR}}, {"codes": "c3", "revision": {"$ne": 2}}
    pipeline = [{"$match": first}, {"$match": second}, {"$sort": {"_id": 1}}]

    plan = await database.command("explain", {"aggregate": indexed.name, "pipeline": pipeline, "cursor": {}})
    found = await (await indexed.aggregate(pipeline)).to_list()

    assert "IXSCAN" in stages(plan)
    assert "COLLSCAN" not in stages(plan)
    assert [one["_id"] for one in found] == [n for n in range(200) if n % 4 == 1 and n % 9 == 3]


async def test_a_watch_names_the_queries_without_an_index(database_url, database_name, indexed):
    with watched() as queries:
        async with AsyncMongoClient(database_url) as client:
            things = client[database_name].things
            await things.find({"site": "s1"}).to_list()
            await things.find({"nobody": 1}).to_list()
            await things.find({"nobody": 2}).to_list()
            await things.update_one({"_id": 1}, {"$set": {"revision": 2}})
            await things.delete_many({"gone": {"$lt": 1}})
            await things.find_one_and_update({"_id": 1}, {"$inc": {"revision": 1}})
            await (await things.aggregate([{"$match": {"codes": "c1"}}, {"$match": {"x": 1}}])).to_list()
            await (await things.aggregate([{"$group": {"_id": "$site"}}])).to_list()
    await indexed.find({"outside": 1}).to_list()

    assert await queries.scans(indexed.database) == {
        "find things {nobody: ?}",
        "delete things {gone: {$lt: ?}}",
        "findAndModify things {_id: ?}",
        "aggregate things {}",
    }
