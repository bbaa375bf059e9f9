"""What has expired is removed, and nothing else, at a cost that follows what expires."""

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pymongo import monitoring

from app import clock
from app.database import connect, disconnect
from models import ALL_DOCUMENTS
from models.account import LoginAttempts, Session
from models.bookkeeping import IdempotencyKey
from models.match_run import MatchRun
from models.network import BundleReceipt
from models.record import Record
from models.symptom_candidate import SymptomCandidate
from services import expiry
from services.expiry import EXPIRING, has_expired
from tests.query_plans import watched

pytestmark = pytest.mark.usefixtures("as_system")

HOUR = timedelta(hours=1)
KEPT = timedelta(days=90)
BATCH = 100


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", BATCH)


async def put(model: type[Record], **instants: Any) -> None:
    """Documents by id, each with its instant."""
    field = model.Settings.expiry.field
    documents = [{"_id": identifier, field: instant} for identifier, instant in instants.items()]
    await model.get_pymongo_collection().insert_many(documents)


async def left(model: type[Record]) -> set[str]:
    return {one["_id"] async for one in model.get_pymongo_collection().find({}, {"_id": 1})}


def test_what_expires_is_declared_at_the_models():
    assert set(EXPIRING) == {Session, LoginAttempts, IdempotencyKey, MatchRun, SymptomCandidate, BundleReceipt}


@pytest.mark.parametrize("model", EXPIRING)
async def test_what_has_expired_goes_and_nothing_else(model: type[Record]):
    now = clock.now() - model.Settings.expiry.after
    await put(
        model,
        just_now=now - timedelta(seconds=1),
        last_year=now - 365 * 24 * HOUR,
        ages_ago=clock.FIRST,
        soon=now + HOUR,
        never=None,
        no_date="2020-01-01",
    )
    await model.get_pymongo_collection().insert_one({"_id": "without"})

    assert await expiry.sweep() == {model.Settings.name: 3}
    assert await expiry.sweep() == {}

    assert await left(model) == {"soon", "never", "no_date", "without"}


class Deletions(monitoring.CommandListener):
    """What was deleted by which filter, command by command."""

    def __init__(self) -> None:
        self.filters: list[Mapping[str, Any]] = []
        self.counts: list[int] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "delete":
            self.filters += [statement["q"] for statement in event.command["deletes"]]

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if event.command_name == "delete":
            self.counts.append(event.reply["n"])

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture
async def deletions(database_url: str, database_name: str) -> Deletions:
    await disconnect()
    listener = Deletions()
    monitoring.register(listener)
    await connect(database_url, database_name, ALL_DOCUMENTS)
    return listener


async def test_a_backlog_goes_in_batches(deletions: Deletions):
    now = clock.now()
    many = 12 * BATCH
    await put(MatchRun, **{f"run_{n}": now - 10 * n * timedelta(seconds=1) for n in range(1, many)}, never=None)

    await expiry.sweep()

    assert sum(deletions.counts) == many - 1
    assert max(deletions.counts) <= 2 * BATCH
    assert await left(MatchRun) == {"never"}


async def test_the_rest_of_a_backlog_goes_in_batches_too(deletions: Deletions):
    """What an earlier sweep has removed leaves a long stretch of nothing before it."""
    now, swept = clock.now(), 6 * BATCH
    many = 12 * BATCH
    await put(MatchRun, **{f"run_{n}": now - 10 * n * timedelta(seconds=1) for n in range(swept, many)})

    await expiry.sweep()

    assert sum(deletions.counts) == many - swept
    assert max(deletions.counts) <= 2 * BATCH


async def test_as_many_at_one_instant_go_too(deletions: Deletions):
    await put(MatchRun, **{f"run_{n}": clock.now() - HOUR for n in range(3 * BATCH)}, older=clock.now() - 2 * HOUR)

    assert await expiry.sweep() == {"match_runs": 3 * BATCH + 1}


async def test_a_sweep_that_takes_too_long_goes_on_next_time(deletions: Deletions):
    now = clock.now()
    await put(MatchRun, new=now - timedelta(seconds=1), old=now - 1000 * HOUR)

    assert await expiry.sweep(longest_seconds=0) == {}
    assert deletions.filters == []
    assert await expiry.sweep() == {"match_runs": 2}


async def test_a_sweep_can_be_broken_off_and_repeated():
    now = clock.now()
    many = 5 * BATCH
    await put(MatchRun, **{f"run_{n}": now - n * timedelta(minutes=1) for n in range(1, many)}, soon=now + HOUR)

    sweeping = asyncio.create_task(expiry.sweep())
    while await MatchRun.count() == many:
        await asyncio.sleep(0)
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping

    await asyncio.gather(expiry.sweep(), expiry.sweep())
    assert await left(MatchRun) == {"soon"}


async def test_who_is_given_more_time_meanwhile_stays():
    now = clock.now()
    names = [f"session_{n}" for n in range(600)]
    kept: set[str] = set()

    async def extend(some: list[str]) -> None:
        for name in some:
            later = {"$set": {"expires_at": now + HOUR}}
            if (await Session.get_pymongo_collection().update_one({"_id": name}, later)).matched_count:
                kept.add(name)

    async def sweep() -> None:
        await asyncio.sleep(0.02)
        await expiry.sweep()

    await put(Session, **{name: now - n * timedelta(seconds=1) for n, name in enumerate(names, 1)})
    random.shuffle(names)
    await asyncio.gather(sweep(), *(extend(names[start::6]) for start in range(6)))

    assert await left(Session) == kept


async def test_it_reads_what_expires_and_no_more(database_url: str, database_name: str, deletions: Deletions):
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        await put(MatchRun, old=clock.now() - HOUR, never=None)
        await expiry.sweep()

    assert await queries.scans(database) == set()
    # With one end only, the embedded store would read the documents without an instant too.
    for condition in deletions.filters:
        [bounds] = condition.values()
        assert set(bounds) == {"$gte", "$lt"}


def test_what_has_expired_does_not_count_although_it_is_there():
    now = clock.now()
    attempts = LoginAttempts(id="a", failures=1, expires_at=now + HOUR)
    assert not has_expired(attempts)
    assert has_expired(attempts.model_copy(update={"expires_at": now}))

    candidate = SymptomCandidate(id="c", first_seen=now, last_seen=now)
    assert not has_expired(candidate)

    numbers = dict.fromkeys(("since", "until", "cards", "evidence", "added", "updated", "conflicts"), 0)
    receipt = BundleReceipt(id="b", peer_id="p", **numbers)
    assert not has_expired(receipt)
    assert has_expired(receipt.model_copy(update={"created_at": now - KEPT}))
