"""The matching index of this replica: loaded from the store at the start, then following it.

What changes in this process is announced after its commit and indexed within milliseconds. What changes elsewhere is
found by polling `updated_at`, with an overlap, since a write gets its time before its transaction commits.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from app import clock
from app.security import acting_as, system
from matching import CardIndex, Embedder, HashingEmbedder, Matcher
from models.enums import FailureCardStatus
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation
from models.record import Record
from models.symptom import Symptom
from services.diagnosis.translate import CARD_FIELDS, card_record, graph_relation, library_symptom, walked
from services.knowledge import changes

log = structlog.get_logger(__name__)

LOAD_BATCH = 500
OVERLAP = timedelta(seconds=10)
"""Longest time between the `updated_at` of a write and its commit, and how far the clocks of replicas may differ."""

Progress = Callable[[int, int], None]


class LiveIndex:
    """`index` and `matcher` are ready once `load` or `start` has returned.

    Without an embedder meaning is compared by hashed words and word pairs.
    """

    def __init__(self, embedder: Embedder | None = None, *, poll_seconds: float = 0.5) -> None:
        self.index = CardIndex(embedder or HashingEmbedder())
        self.matcher = Matcher(self.index)
        self.poll_seconds = poll_seconds
        self._revisions: dict[str, int] = {}
        self._read_until: datetime | None = None
        self._changed: set[str] = set()
        self._in_hand: set[str] = set()
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._follower: asyncio.Task[None] | None = None

    async def load(self, progress: Progress | None = None) -> int:
        """Read everything; returns the number of cards. `progress(done, total)` follows it."""
        self._read_until = clock.now()
        await self._read_graph({})
        total = await FailureCard.find({"status": {"$ne": FailureCardStatus.deprecated}}).count()
        after = ""
        while batch := await _cards({"_id": {"$gt": after}}).sort([("_id", 1)]).limit(LOAD_BATCH).to_list():
            after = batch[-1]["_id"]
            self._take(batch)
            # Embedding is the slow part and may be a model's: not in the way of whatever else starts.
            await asyncio.to_thread(self.index.embed_pending)
            if progress is not None:
                progress(len(self.index), total)
        return len(self.index)

    async def start(self, progress: Progress | None = None) -> int:
        """Load, then follow the store until `stop`."""
        changes.on_changed(self._note)
        count = await self.load(progress)
        self._follower = asyncio.create_task(self._follow(), name="index")
        return count

    async def stop(self) -> None:
        if self._follower is None:
            return
        changes.forget(self._note)
        self._follower.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._follower
        self._follower = None
        _answer(self._waiting)

    @property
    def following(self) -> bool:
        """Whether changes still arrive."""
        return self._follower is not None and not self._follower.done()

    async def caught_up(self) -> None:
        """Wait until what has been committed in this process is in the index."""
        if self._follower is not None and (self._changed or self._in_hand):
            # The follower reads, not the caller: within the caller's transaction the store stands still.
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(done)
            self._wake.set()
            await done

    async def refresh(self) -> int:
        """Take over what has changed in the store since the last time, by whomever; returns the number of cards."""
        looked = clock.now()
        since = {"updated_at": {"$gte": (self._read_until or looked) - OVERLAP}}
        recent = FailureCard.get_pymongo_collection().find(since, {"revision": 1})
        newer = [card["_id"] async for card in recent if card["revision"] > self._revisions.get(card["_id"], 0)]
        await self._read_graph(since)
        taken = await self._take_ids(newer)
        self._read_until = looked
        return taken

    async def _take_ids(self, card_ids: Iterable[str]) -> int:
        wanted = sorted(card_ids)
        taken = self._take(await _cards({"_id": {"$in": wanted}}).to_list()) if wanted else 0
        if taken:
            await asyncio.to_thread(self.index.embed_pending)
        return taken

    def _take(self, cards: Iterable[Mapping[str, Any]]) -> int:
        taken = 0
        for card in cards:
            # Reads may overtake each other: an older state never replaces a newer one.
            if card["revision"] <= self._revisions.get(card["_id"], 0):
                continue
            self._revisions[card["_id"]] = card["revision"]
            record = card_record(card)
            # Most writes of a card (uses, ratings) change nothing that is indexed.
            if record != self.index.get(record.card_id):
                self.index.upsert(record, embed=False)
            taken += 1
        return taken

    async def _read_graph(self, since: dict[str, Any]) -> None:
        async for symptom in _documents(Symptom, since):
            self.index.put_symptom(library_symptom(symptom))
        async for edge in _documents(KnowledgeRelation, since):
            if not walked(edge):
                continue
            if edge.get("ended_at") is None:
                self.index.put_relation(graph_relation(edge))
            else:
                self.index.drop_relation(edge["source_id"], edge["target_id"])

    def _note(self, card_ids: frozenset[str]) -> None:
        self._changed |= card_ids
        self._wake.set()

    async def _follow(self) -> None:
        with acting_as(system("index")):
            polled = time.monotonic()
            while True:
                with contextlib.suppress(TimeoutError):
                    left = polled + self.poll_seconds - time.monotonic()
                    # Not wait_for: on Python 3.11 it swallows a cancellation that meets the wake-up, and never stops.
                    async with asyncio.timeout(max(0.0, left)):
                        await self._wake.wait()
                self._wake.clear()
                waiting, self._waiting = self._waiting, []
                self._in_hand, self._changed = self._changed, set()
                try:
                    await self._take_ids(self._in_hand)
                    if time.monotonic() >= polled + self.poll_seconds:
                        await self.refresh()
                        polled = time.monotonic()
                except PyMongoError as error:
                    # What was in hand has a new `updated_at`: polling finds it when the store is back.
                    log.warning("the index could not follow", reason=str(error))
                    await asyncio.sleep(self.poll_seconds)
                self._in_hand = set()
                _answer(waiting)


def _answer(waiting: list[asyncio.Future[None]]) -> None:
    for done in waiting:
        if not done.done():
            done.set_result(None)


def _cards(query: dict[str, Any]) -> Any:
    return FailureCard.get_pymongo_collection().find(query, dict.fromkeys(CARD_FIELDS, 1))


def _documents(model: type[Record], query: dict[str, Any]) -> Any:
    return model.get_pymongo_collection().find(query)
