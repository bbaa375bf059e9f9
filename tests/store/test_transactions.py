"""The store's contract: several writes become visible together or not at all."""

import asyncio

import pytest
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

TRANSIENT = "TransientTransactionError"


async def test_a_commit_shows_everything_at_once(client, database, things):
    events = await database.create_collection("events")

    async with client.start_session() as session, await session.start_transaction():
        await things.insert_one({"_id": "tkt_1"}, session=session)
        await events.insert_one({"_id": "evt_1"}, session=session)
        assert await things.find_one({"_id": "tkt_1"}, session=session)
        assert await things.find_one({"_id": "tkt_1"}) is None

    assert await things.count_documents({}) == 1
    assert await events.count_documents({}) == 1


async def test_an_abort_leaves_no_trace(client, things):
    await things.insert_one({"_id": 1, "n": 0})

    with pytest.raises(ZeroDivisionError):
        async with client.start_session() as session, await session.start_transaction():
            await things.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
            await things.insert_one({"_id": 2}, session=session)
            await things.delete_one({"_id": 1}, session=session)
            raise ZeroDivisionError

    assert await things.find().to_list() == [{"_id": 1, "n": 0}]


async def test_a_transaction_reads_from_one_snapshot(client, things):
    await things.insert_many([{"_id": 1, "n": 1}, {"_id": 2, "n": 1}])

    async with client.start_session() as session, await session.start_transaction():
        first = (await things.find_one({"_id": 1}, session=session))["n"]
        await things.update_many({}, {"$set": {"n": 2}})
        await things.insert_one({"_id": 3, "n": 2})
        second = await things.find({}, session=session).sort("_id").to_list()

    assert first == 1
    assert second == [{"_id": 1, "n": 1}, {"_id": 2, "n": 1}]


async def test_two_writers_of_one_document_conflict(client, things):
    await things.insert_one({"_id": 1, "n": 0})

    async with client.start_session() as one, client.start_session() as two:
        await one.start_transaction()
        await two.start_transaction()
        await things.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=one)
        with pytest.raises(OperationFailure) as caught:
            await things.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=two)
        assert caught.value.has_error_label(TRANSIENT)
        await two.abort_transaction()
        await one.commit_transaction()

    assert await things.find_one() == {"_id": 1, "n": 1}


async def test_a_write_over_a_newer_version_conflicts(client, things):
    await things.insert_one({"_id": 1, "n": 0})

    async with client.start_session() as session:
        await session.start_transaction()
        assert (await things.find_one({"_id": 1}, session=session))["n"] == 0
        await things.update_one({"_id": 1}, {"$set": {"n": 5}})
        with pytest.raises(OperationFailure) as caught:
            await things.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)
        assert caught.value.has_error_label(TRANSIENT)
        await session.abort_transaction()

    assert await things.find_one() == {"_id": 1, "n": 5}


async def test_a_duplicate_key_aborts_the_whole_transaction(client, things):
    await things.create_index("key", unique=True)
    await things.insert_one({"_id": 1, "key": "a"})

    with pytest.raises(DuplicateKeyError) as caught:
        async with client.start_session() as session, await session.start_transaction():
            await things.insert_one({"_id": 2, "key": "b"}, session=session)
            await things.insert_one({"_id": 3, "key": "a"}, session=session)

    assert not caught.value.has_error_label(TRANSIENT)
    assert await things.count_documents({}) == 1


async def test_two_transactions_cannot_both_insert_a_unique_key(client, things):
    """A receipt (event × handler) is written inside the transaction that has the effect; only one may commit."""
    await things.create_index("receipt", unique=True)

    async def write(n):
        try:
            async with client.start_session() as session, await session.start_transaction():
                await things.insert_one({"_id": n, "receipt": "evt_1/weigh"}, session=session)
                await asyncio.sleep(0.01)
        except OperationFailure as error:
            assert isinstance(error, DuplicateKeyError) or error.has_error_label(TRANSIENT)
            return False
        return True

    assert sum(await asyncio.gather(*(write(n) for n in range(8)))) == 1
    assert await things.count_documents({}) == 1


async def test_conditional_updates_and_upserts_work_inside(client, things):
    await things.insert_one({"_id": 1, "state": "open"})

    async with client.start_session() as session, await session.start_transaction():
        won = await things.update_one({"_id": 1, "state": "open"}, {"$set": {"state": "done"}}, session=session)
        lost = await things.update_one({"_id": 1, "state": "open"}, {"$set": {"state": "lost"}}, session=session)
        made = await things.update_one({"_id": 2}, {"$inc": {"n": 1}}, upsert=True, session=session)
        await things.insert_many([{"_id": 3}, {"_id": 4}], session=session)
        await things.delete_one({"_id": 4}, session=session)
        counted = await (
            await things.aggregate([{"$group": {"_id": None, "n": {"$sum": 1}}}], session=session)
        ).to_list()

    assert (won.matched_count, lost.matched_count, made.upserted_id) == (1, 0, 2)
    assert counted == [{"_id": None, "n": 3}]
    assert await things.find().sort("_id").to_list() == [{"_id": 1, "state": "done"}, {"_id": 2, "n": 1}, {"_id": 3}]


async def test_a_transaction_may_create_its_collection(client, database):
    async with client.start_session() as session, await session.start_transaction():
        await database.fresh.insert_one({"_id": 1}, session=session)

    assert await database.fresh.count_documents({}) == 1


@pytest.mark.timeout(300)
async def test_concurrent_transactions_lose_nothing(client, database, things):
    """Transfers between accounts, each with its entry: sums and entries agree whatever the interleaving."""
    tasks, moves, accounts = 8, 12, 5
    entries = await database.create_collection("entries")
    await things.insert_many([{"_id": n, "balance": 100, "version": 0} for n in range(accounts)])

    async def move(task, n):
        source, target = task % accounts, (task + n + 1) % accounts
        while True:
            try:
                async with client.start_session() as session, await session.start_transaction():
                    before = await things.find_one({"_id": source}, session=session)
                    await things.update_one(
                        {"_id": source},
                        {"$set": {"balance": before["balance"] - 1}, "$inc": {"version": 1}},
                        session=session,
                    )
                    await things.update_one({"_id": target}, {"$inc": {"balance": 1, "version": 1}}, session=session)
                    await entries.insert_one({"_id": f"{task}/{n}", "from": source, "to": target}, session=session)
            except PyMongoError as error:
                if not error.has_error_label(TRANSIENT):
                    raise
                await asyncio.sleep(0.002 * (1 + task))
            else:
                return

    async def run(task):
        for n in range(moves):
            await move(task, n)

    await asyncio.gather(*(run(task) for task in range(tasks)))

    balances = {found["_id"]: found["balance"] async for found in things.find()}
    expected = dict.fromkeys(range(accounts), 100)
    async for entry in entries.find():
        expected[entry["from"]] -= 1
        expected[entry["to"]] += 1
    assert await entries.count_documents({}) == tasks * moves
    assert balances == expected


async def test_concurrent_increments_outside_transactions_lose_nothing(things):
    await things.insert_one({"_id": 1, "n": 0})

    await asyncio.gather(*(things.update_one({"_id": 1}, {"$inc": {"n": 1}}) for _ in range(200)))

    assert (await things.find_one())["n"] == 200
