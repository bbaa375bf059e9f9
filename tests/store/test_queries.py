"""The store's contract: queries, pages, aggregations and files."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from gridfs.asynchronous import AsyncGridFSBucket
from gridfs.errors import NoFile
from pymongo import ASCENDING, DESCENDING

START = datetime(2026, 1, 1, tzinfo=UTC)


async def ids(cursor):
    return [found["_id"] async for found in cursor]


@pytest.mark.parametrize("direction", [ASCENDING, DESCENDING])
async def test_keyset_pages_see_every_document_once(things, direction):
    """Several documents share an instant, so the id decides among them."""
    await things.create_index([("site", 1), ("at", 1), ("_id", 1)])
    await things.insert_many([{"_id": n, "site": n % 2, "at": START + timedelta(minutes=n // 8)} for n in range(100)])
    after = "$gt" if direction == ASCENDING else "$lt"
    seen, last = [], None
    while True:
        query = {"site": 0}
        if last:
            query["$or"] = [{"at": {after: last["at"]}}, {"at": last["at"], "_id": {after: last["_id"]}}]
        page = await things.find(query).sort([("at", direction), ("_id", direction)]).limit(7).to_list()
        if not page:
            break
        seen += [found["_id"] for found in page]
        last = page[-1]

    assert seen == sorted(range(0, 100, 2), reverse=direction == DESCENDING)


@pytest.mark.parametrize("index", [["n"], ["site", "n"], ["sites", "n"], ["site", "n", "_id"]], ids=",".join)
async def test_ranges_hold_their_bounds_whatever_the_index(things, index):
    await things.create_index([(name, ASCENDING) for name in index])
    await things.insert_many(
        [{"_id": f"{n}", "site": "s", "sites": ["s", "t"], "n": START + timedelta(milliseconds=n)} for n in range(9)]
    )
    operators = {"$gt": ["5", "6", "7", "8"], "$gte": ["4", "5", "6", "7", "8"], "$lt": ["0", "1", "2", "3"]}
    # SecantusDB takes "$lte" for "$lt" where the index goes on behind the field.
    operators |= {"$lte": ["0", "1", "2", "3", "4"]} if index[-1] == "n" else {}
    for operator, found in operators.items():
        query = {name: "s" for name in index[:-1] if name in ("site", "sites")}
        query["n"] = {operator: START + timedelta(milliseconds=4)}
        assert await ids(things.find(query).sort("_id")) == found, operator
        assert await ids(things.find(query).sort("n", DESCENDING).limit(9)) == found[::-1], operator
        assert await things.count_documents(query) == len(found), operator


async def test_sort_with_limit_and_projection(things):
    await things.insert_many([{"_id": n, "rank": n * 7 % 10, "text": "x" * 50} for n in range(10)])

    page = await things.find({}, {"rank": 1, "_id": 0}).sort("rank", -1).skip(2).limit(3).to_list()

    assert page == [{"rank": 7}, {"rank": 6}, {"rank": 5}]


async def test_sorting_mixes_missing_values_in_front(things):
    await things.insert_many([{"_id": "b", "n": 2}, {"_id": "none"}, {"_id": "a", "n": 1}])

    assert await ids(things.find().sort("n", 1)) == ["none", "a", "b"]


async def test_in_nin_and_or(things):
    await things.insert_many([{"_id": n, "state": s} for n, s in enumerate(["new", "open", "done", "new"])])

    assert await ids(things.find({"state": {"$in": ["new", "done"]}}).sort("_id")) == [0, 2, 3]
    assert await ids(things.find({"state": {"$nin": ["new", "done"]}})) == [1]
    assert await ids(things.find({"$or": [{"_id": 0}, {"state": "open"}]}).sort("_id")) == [0, 1]
    assert await ids(things.find({"state": {"$in": []}})) == []


async def test_elem_match_wants_one_element_to_meet_all(things):
    await things.insert_many(
        [
            {"_id": 1, "vehicles": [{"make": "A", "year": 2020}, {"make": "B", "year": 2024}]},
            {"_id": 2, "vehicles": [{"make": "A", "year": 2024}]},
        ]
    )

    assert await ids(things.find({"vehicles": {"$elemMatch": {"make": "A", "year": {"$gte": 2024}}}})) == [2]
    assert await ids(things.find({"vehicles.make": "A", "vehicles.year": 2024}).sort("_id")) == [1, 2]


async def test_arrays_match_by_element_all_and_size(things):
    await things.insert_many([{"_id": 1, "codes": ["a", "b"]}, {"_id": 2, "codes": ["b"]}, {"_id": 3, "codes": []}])

    assert await ids(things.find({"codes": "b"}).sort("_id")) == [1, 2]
    assert await ids(things.find({"codes": {"$all": ["b", "a"]}})) == [1]
    assert await ids(things.find({"codes": {"$size": 0}})) == [3]
    assert await ids(things.find({"codes.0": {"$exists": True}}).sort("_id")) == [1, 2]


async def test_an_anchored_expression_finds_by_prefix_literally(things):
    await things.create_index("title")
    await things.insert_many(
        [{"_id": n, "title": t} for n, t in enumerate(["P0A80 pack", "P0A8", "p0a80", "C++ (x)", "Ç P0A80"])]
    )

    assert await ids(things.find({"title": {"$regex": "^P0A80"}})) == [0]
    assert await ids(things.find({"title": {"$regex": "^p0a80", "$options": "i"}}).sort("_id")) == [0, 2]
    assert await ids(things.find({"title": {"$regex": "^" + re.escape("C++ (")}})) == [3]


async def test_count_and_distinct(things):
    await things.insert_many([{"_id": n, "kind": "ab"[n % 2], "tags": ["x", str(n)]} for n in range(4)])

    assert await things.count_documents({"kind": "a"}, limit=1) == 1
    assert await things.count_documents({"kind": "z"}) == 0
    assert sorted(await things.distinct("kind")) == ["a", "b"]
    assert sorted(await things.distinct("tags", {"kind": "a"})) == ["0", "2", "x"]


async def test_groups_are_summed_averaged_and_sorted(things):
    await things.insert_many([{"_id": n, "level": "hml"[n % 3], "score": n / 10, "ok": n % 2 == 0} for n in range(9)])

    rows = await (
        await things.aggregate(
            [
                {"$match": {"_id": {"$lt": 8}}},
                {
                    "$group": {
                        "_id": "$level",
                        "n": {"$sum": 1},
                        "mean": {"$avg": "$score"},
                        "top": {"$max": "$score"},
                        "ok": {"$sum": {"$cond": ["$ok", 1, 0]}},
                    }
                },
                {"$sort": {"n": -1, "_id": 1}},
            ]
        )
    ).to_list()

    assert [(row["_id"], row["n"], row["top"], row["ok"]) for row in rows] == [
        ("h", 3, 0.6, 2),
        ("m", 3, 0.7, 1),
        ("l", 2, 0.5, 1),
    ]
    assert rows[0]["mean"] == pytest.approx(0.3)


async def test_unwind_opens_arrays_of_sub_documents(things):
    await things.insert_many(
        [
            {"_id": 1, "parts": [{"id": "p", "n": 2}, {"id": "q", "n": 1}]},
            {"_id": 2, "parts": [{"id": "p", "n": 3}]},
            {"_id": 3, "parts": []},
        ]
    )

    pipeline = [
        {"$unwind": "$parts"},
        {"$group": {"_id": "$parts.id", "n": {"$sum": "$parts.n"}}},
        {"$sort": {"_id": 1}},
    ]

    assert await (await things.aggregate(pipeline)).to_list() == [{"_id": "p", "n": 5}, {"_id": "q", "n": 1}]


async def test_groups_by_several_keys_take_first_in_sort_order(things):
    await things.insert_many([{"_id": n, "make": "AB"[n % 2], "year": 2020 + n % 3, "at": n} for n in range(12)])

    pipeline = [
        {"$sort": {"at": -1}},
        {"$group": {"_id": {"make": "$make", "year": "$year"}, "newest": {"$first": "$_id"}, "all": {"$push": "$_id"}}},
        {"$sort": {"_id.make": 1, "_id.year": 1}},
        {"$limit": 2},
    ]

    rows = await (await things.aggregate(pipeline)).to_list()
    assert rows[0] == {"_id": {"make": "A", "year": 2020}, "newest": 6, "all": [6, 0]}
    assert rows[1] == {"_id": {"make": "A", "year": 2021}, "newest": 10, "all": [10, 4]}


async def test_project_computes_and_renames(things):
    await things.insert_one({"_id": 1, "wins": 3, "losses": 1, "deep": {"name": "x"}})

    pipeline = [
        {
            "$project": {
                "_id": 0,
                "name": "$deep.name",
                "n": {"$add": ["$wins", "$losses"]},
                "note": {"$ifNull": ["$note", "-"]},
            }
        }
    ]

    assert await (await things.aggregate(pipeline)).to_list() == [{"name": "x", "n": 4, "note": "-"}]


async def test_lookup_joins_by_id(database, things):
    await database.cards.insert_one({"_id": "fc_1", "title": "pack"})
    await things.insert_many([{"_id": 1, "card": "fc_1"}, {"_id": 2, "card": "fc_2"}])

    pipeline = [
        {"$lookup": {"from": "cards", "localField": "card", "foreignField": "_id", "as": "cards"}},
        {"$sort": {"_id": 1}},
    ]

    rows = await (await things.aggregate(pipeline)).to_list()
    assert [row["cards"] for row in rows] == [[{"_id": "fc_1", "title": "pack"}], []]


async def test_a_cursor_spans_batches(things):
    await things.insert_many([{"_id": n, "pad": "x" * 100} for n in range(1000)])

    assert await ids(things.find().sort("_id").batch_size(90)) == list(range(1000))


async def test_files_keep_bytes_and_metadata(database):
    bucket = AsyncGridFSBucket(database, bucket_name="attachments", chunk_size_bytes=64 * 1024)
    content = bytes(range(256)) * 1024  # four chunks

    file_id = await bucket.upload_from_stream("pack.jpg", content, metadata={"ticket_id": "tkt_1"})
    stream = await bucket.open_download_stream(file_id)

    assert await stream.read() == content
    assert (stream.filename, stream.length, stream.metadata) == ("pack.jpg", len(content), {"ticket_id": "tkt_1"})
    await stream.seek(100_000)
    assert await stream.read(10) == content[100_000:100_010]

    await bucket.delete(file_id)
    with pytest.raises(NoFile):
        await bucket.open_download_stream(file_id)
    assert await database["attachments.chunks"].count_documents({}) == 0
