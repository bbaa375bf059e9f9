"""The store's contract: the forms of query that are answered from an index.

SecantusDB uses an index only if the query names nothing but a prefix of its fields: equalities first, then at most one
range or `$in`. One condition more, an `$or` or a `$ne`, and it reads the whole collection, `_id` or not. A second
`$match` stage takes further conditions without that price.
"""

from datetime import UTC, datetime, timedelta

import pytest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
INDEXED = [
    {"_id": 7},
    {"_id": {"$in": [1, 2, 3]}},
    {"_id": {"$gte": 10, "$lt": 20}},
    {"_id": 7, "revision": 1},
    {"site": "s1"},
    {"site": "s1", "at": {"$gte": NOW, "$lt": NOW + HOUR}},
    {"site": "s1", "at": NOW + HOUR / 10},
    {"site": "s1", "at": {"$in": [NOW + HOUR / 10]}},
    {"codes": "c3"},
    {"codes": {"$in": ["c3", "c4"]}},
    {"title": {"$gte": "T12", "$lt": "T13"}},
]


@pytest.fixture
async def indexed(things):
    await things.create_index([("_id", 1), ("revision", 1)])
    await things.create_index([("site", 1), ("at", 1)])
    await things.create_index("codes")
    await things.create_index("title")
    await things.insert_many(
        [
            {
                "_id": n,
                "revision": 1,
                "site": f"s{n % 4}",
                "at": NOW + n * HOUR / 10,
                "codes": [f"c{n % 9}"],
                "title": f"T{n}",
            }
            for n in range(500)
        ]
    )
    return things


def stages(plan) -> set[str]:
    """The names of all stages in a plan, at any depth."""
    if isinstance(plan, list):
        return set().union(*map(stages, plan))
    if not isinstance(plan, dict):
        return set()
    own = {plan["stage"]} if isinstance(plan.get("stage"), str) else set()
    return own.union(*map(stages, plan.values()))


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
