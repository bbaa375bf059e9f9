"""The store: client, transactions, and the guard that every access to a collection passes.

Within `transaction()` every operation of the same task joins it by itself (the driver binds the session to the
context), so no write of a unit of work can be left out of it by mistake.
"""

import asyncio
import functools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import beanie
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from app.errors import Forbidden
from app.security import Actor, ActorKind, current_actor

T = TypeVar("T")


class Access(StrEnum):
    read = "read"
    write = "write"


class AccessPolicy(Protocol):
    """Decides whether an actor may read or write a collection."""

    def allows(self, actor: Actor, collection: str, access: Access) -> bool: ...


class DeclaredRights:
    """People and the system itself may touch every collection: their limits are decided by route and tenancy. An agent
    may touch what is declared for it, and nothing else.

    `agents` maps an agent's id to collections and the accesses granted there.
    """

    def __init__(self, agents: Mapping[str, Mapping[str, frozenset[Access]]]) -> None:
        self.agents = agents

    def allows(self, actor: Actor, collection: str, access: Access) -> bool:
        if actor.kind is not ActorKind.agent:
            return True
        return access in self.agents.get(actor.id, {}).get(collection, frozenset())


class Guard:
    """The one place where data access is checked. `observe` sees every decision, for an audit trail."""

    def __init__(self) -> None:
        self.policy: AccessPolicy = DeclaredRights({})
        self.observe: Callable[[Actor, str, Access, bool], None] | None = None

    def check(self, collection: str, access: Access) -> None:
        actor = current_actor()
        allowed = self.policy.allows(actor, collection, access)
        if self.observe is not None:
            self.observe(actor, collection, access, allowed)
        if not allowed:
            raise Forbidden(f"{actor.id} may not {access} {collection}.", actor=actor.id, collection=collection)


guard = Guard()

_READS = ("find", "find_one", "find_raw_batches", "count_documents", "estimated_document_count", "distinct")
_WRITES = (
    "insert_one",
    "insert_many",
    "update_one",
    "update_many",
    "replace_one",
    "delete_one",
    "delete_many",
    "bulk_write",
    "find_one_and_update",
    "find_one_and_replace",
    "find_one_and_delete",
)


class GuardedCollection(AsyncCollection):
    """A collection that asks the guard before it does anything with documents."""

    def with_options(self, **options: Any) -> "GuardedCollection":
        return self._guarding(super().with_options(**options))

    def __getitem__(self, name: str) -> "GuardedCollection":
        """A collection below this one, as a file store's are below its bucket: guarded under its own name."""
        return self._guarding(super().__getitem__(name))

    def _guarding(self, plain: AsyncCollection) -> "GuardedCollection":
        return GuardedCollection(
            self.database,
            plain.name,
            codec_options=plain.codec_options,
            read_preference=plain.read_preference,
            write_concern=plain.write_concern,
            read_concern=plain.read_concern,
        )

    async def aggregate(self, pipeline: Iterable[Mapping[str, Any]], *args: Any, **kwargs: Any) -> Any:
        stages = list(pipeline)
        guard.check(self.name, Access.read)
        for stage in stages:
            for operator, body in stage.items():
                if operator in ("$out", "$merge"):
                    raise Forbidden(f"{operator} would write past the guard.")
                if operator in ("$lookup", "$graphLookup", "$unionWith"):
                    other = body if isinstance(body, str) else body.get("from", body.get("coll"))
                    guard.check(other, Access.read)
        return await super().aggregate(stages, *args, **kwargs)


def _reading(name: str) -> Callable[..., Any]:
    inherited = getattr(AsyncCollection, name)

    @functools.wraps(inherited)
    def method(self: GuardedCollection, *args: Any, **kwargs: Any) -> Any:
        guard.check(self.name, Access.read)
        return inherited(self, *args, **kwargs)

    return method


def _writing(name: str) -> Callable[..., Any]:
    inherited = getattr(AsyncCollection, name)

    @functools.wraps(inherited)
    async def method(self: GuardedCollection, *args: Any, **kwargs: Any) -> Any:
        guard.check(self.name, Access.write)
        try:
            return await inherited(self, *args, **kwargs)
        finally:
            # Also when it failed: the store may have taken it before the connection broke.
            after_commit(functools.partial(_count_write, self.name))

    return method


for _name in _READS:
    setattr(GuardedCollection, _name, _reading(_name))
for _name in _WRITES:
    setattr(GuardedCollection, _name, _writing(_name))

_written: Counter[str] = Counter()


def _count_write(collection: str) -> None:
    _written[collection] += 1


def written(*collections: str) -> int:
    """A number that grows with every committed write to these collections by this process.

    What was read after asking for it is up to date with this process while it stays the same. Other processes' writes
    do not count.
    """
    return sum(_written[name] for name in collections)


class GuardedDatabase(AsyncDatabase):
    """A database whose collections are guarded, and stay so when it is given other options."""

    def with_options(self, **options: Any) -> "GuardedDatabase":
        plain = super().with_options(**options)
        return GuardedDatabase(
            self.client,
            self.name,
            codec_options=plain.codec_options,
            read_preference=plain.read_preference,
            write_concern=plain.write_concern,
            read_concern=plain.read_concern,
        )

    def __getitem__(self, name: str) -> GuardedCollection:
        return GuardedCollection(self, name)

    def get_collection(self, name: str, **options: Any) -> GuardedCollection:
        return GuardedCollection(self, name, **options)


_client: AsyncMongoClient | None = None
_callbacks: ContextVar[list[Callable[[], None]] | None] = ContextVar("after_commit", default=None)


async def connect(url: str, database: str, documents: list[type[beanie.Document]]) -> GuardedDatabase:
    """Open the store, bind the documents to it and create missing collections and indexes.

    Must run in the event loop that uses the store. Raises pymongo's ServerSelectionTimeoutError if nobody answers.
    """
    global _client
    _client = AsyncMongoClient(url, tz_aware=True, serverSelectionTimeoutMS=10_000, appname="efi", maxPoolSize=100)
    guarded = GuardedDatabase(_client, database, codec_options=CodecOptions(tz_aware=True))
    await beanie.init_beanie(database=guarded, document_models=documents)
    return guarded


async def disconnect() -> None:
    global _client
    if _client is not None:
        await _client.close()
        _client = None


async def ping() -> None:
    """Raise a PyMongoError unless the store answers."""
    if _client is None:
        raise PyMongoError("the store is not open")
    await _client.admin.command("ping")


def in_a_transaction() -> bool:
    return _callbacks.get() is not None


def after_commit(callback: Callable[[], None]) -> None:
    """Run `callback` once the running transaction has committed; at once outside of one. It must not fail."""
    pending = _callbacks.get()
    if pending is None:
        callback()
    else:
        pending.append(callback)


@asynccontextmanager
async def transaction() -> AsyncIterator[None]:
    """All reads and writes within commit together or not at all. A transaction within one joins it.

    Operations of one transaction must follow each other: never `gather` them.
    """
    if in_a_transaction():
        yield
        return
    if _client is None:
        raise RuntimeError("the store is not open")
    callbacks: list[Callable[[], None]] = []
    token = _callbacks.set(callbacks)
    try:
        async with (
            _client.start_session() as session,
            session.bind(end_session=False),
            await session.start_transaction(),
        ):
            yield
    finally:
        _callbacks.reset(token)
    for callback in callbacks:
        callback()


CONFLICT_ATTEMPTS = 12


async def in_transaction(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` in a transaction; if another writer got in between, run it again from the start.

    Within a running transaction it simply joins, and the outermost call does the repeating. `work` must have no effect
    outside the store. Raises the conflict after CONFLICT_ATTEMPTS attempts.
    """
    if in_a_transaction():
        return await work()
    for attempt in range(1, CONFLICT_ATTEMPTS + 1):
        try:
            async with transaction():
                return await work()
        except PyMongoError as error:
            if attempt == CONFLICT_ATTEMPTS or not error.has_error_label("TransientTransactionError"):
                raise
            await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 7)))
    raise AssertionError("unreachable")
