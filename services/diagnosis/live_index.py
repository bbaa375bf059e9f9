"""The matching index of this replica: taken from its snapshot, brought in line with the store, then following it.

What changes in this process is announced after its commit and indexed within milliseconds. What changes elsewhere is
found by polling `updated_at`, with an overlap, since a write gets its time before its transaction commits. What polling
cannot see, such as a deletion or a restored backup, is found by comparing every card's state at the start and each time
before the index is saved.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from app import clock
from app.ids import is_id
from app.security import acting_as, system
from app.tasks import end
from matching import CardIndex, CardRecord, Embedder, HashingEmbedder, Matcher
from matching import Symptom as LibrarySymptom
from matching.channels.semantic import card_text
from models.enums import FailureCardStatus
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation
from models.symptom import Symptom
from services.diagnosis import snapshots, vectors
from services.diagnosis.embedding import CardEmbedding
from services.diagnosis.metrics import CARDS, READ_UNTIL
from services.diagnosis.store_reading import UNHURRIED, documents, states
from services.diagnosis.translate import (
    CARD_FIELDS,
    card_record,
    graph_relation,
    library_symptom,
    state_number,
    walked,
)
from services.knowledge import changes
from services.knowledge.phrases import Wordings

log = structlog.get_logger(__name__)

LOAD_BATCH = 200
"""Few enough that decoding them does not hold up the event loop."""
OVERLAP = timedelta(seconds=10)
"""Longest time between the `updated_at` of a write and its commit, and how far the clocks of replicas may differ."""
PATIENCE_SECONDS = 1.0
"""A match waits so long at most for a change that is not in the index yet: it may be held up by a snapshot."""
WORTH_SAVING = 0.01
"""Share of changed cards from which on a snapshot is written before the service stops."""
FIRST_SAVE_SECONDS = 10.0
"""A service that has built its index with much effort and is killed soon after should not build it again."""
MATCHED = [status for status in FailureCardStatus if status is not FailureCardStatus.deprecated]

Progress = Callable[[int, int], None]


class LiveIndex:
    """`index` and `matcher` are ready once `load` or `start` has returned.

    `embedder` is the one to serve, by default hashed words; None, with the reason in `off`, leaves meaning out.
    `former` gives an embedder that served before by its name, if it can still be had. Without `snapshot` nothing is
    kept on disk.
    """

    def __init__(
        self,
        embedder: Embedder | None = HashingEmbedder(),  # noqa: B008 - it has no state
        *,
        off: str = "",
        former: Callable[[str], Embedder | None] = lambda _: None,
        snapshot: Path | None = None,
        poll_seconds: float = 0.5,
        save_seconds: float = 300.0,
    ) -> None:
        self.embedder, self.off, self.former, self.snapshot = embedder, off, former, snapshot
        self.poll_seconds, self.save_seconds = poll_seconds, save_seconds
        self._serve(CardIndex(embedder))
        self._unsaved = 0
        self._read_until: datetime | None = None
        self._reading = asyncio.Lock()
        self._said: dict[str, tuple[str, ...]] = {}
        self._wordings: Wordings | None = None
        self._changed: set[str] = set()
        self._in_hand: set[str] = set()
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def _serve(self, index: CardIndex) -> None:
        self.index = index
        self.matcher = Matcher(index)
        self.embedding = CardEmbedding(index, self.embedder, self._count)
        if index.embedder is None and self.off:
            index.semantic.off = self.off

    async def load(self, progress: Progress | None = None) -> int:
        """Hold every card of the store with its vector by the embedder that serves; returns their number.

        `progress(done, total)` follows first what must be read anew, then what must be embedded. Raises
        EmbeddingFailed.
        """
        count = await self.read(progress)
        await self.embedding.fill(progress)
        return count

    async def read(self, progress: Progress | None = None) -> int:
        """Hold every card of the store; returns their number. `progress(done, total)` follows what must be read anew.

        Cards whose vector is not kept anywhere still await it: see `embedding`.
        """
        serving = await self._serving()
        if self.snapshot is not None and (kept := await asyncio.to_thread(snapshots.read, self.snapshot, serving)):
            self._serve(kept)
        elif serving is not self.embedder:
            self._serve(CardIndex(serving))
        await self.reconcile(progress)
        return len(self.index)

    async def _serving(self) -> Embedder | None:
        """The embedder to begin with: the one whose vectors are complete, if it is not the wanted one."""
        name = await vectors.complete() if self.embedder is not None else None
        if name is None or self.embedder is None or name == self.embedder.name:
            return self.embedder
        if (before := await asyncio.to_thread(self.former, name)) is None:
            log.warning("the embedder that served before is not to be had", embedder=name)
            return self.embedder
        return before

    async def start(self, progress: Progress | None = None) -> int:
        """Read, then follow the store, embed and save until `stop`."""
        changes.on_changed(self._note)
        count = await self.read(progress)
        self.embedding.start()
        self._tasks = [asyncio.create_task(self._follow(), name="index")]
        if self.snapshot is not None:
            self._tasks.append(asyncio.create_task(self._keep(), name="index-snapshots"))
        return count

    async def stop(self) -> None:
        if not self._tasks:
            return
        changes.forget(self._note)
        await end(*self._tasks)
        await self.embedding.stop()
        self._tasks = []
        _answer(self._waiting)
        if self._unsaved:
            await self.write_snapshot()

    @property
    def following(self) -> bool:
        """Whether changes still arrive."""
        return bool(self._tasks) and not self._tasks[0].done()

    @property
    def remote(self) -> bool:
        """Whether a match may wait for another machine, so that it must be kept off the event loop."""
        return getattr(self.index.embedder, "remote", False)

    async def caught_up(self) -> None:
        """Wait until what has been committed in this process is in the index, PATIENCE_SECONDS at most."""
        if self.following and (self._changed or self._in_hand):
            # The follower reads, not the caller: within the caller's transaction the store stands still.
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(done)
            self._wake.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await done

    async def refresh(self) -> int:
        """Take over what has changed in the store since the last time, by whomever; returns the number of cards."""
        looked = clock.now()
        since = {"updated_at": {"$gte": (self._read_until or looked) - OVERLAP}}
        async with self._reading:
            newer = [
                card["_id"]
                async for card in states(since)
                # A deprecated card is not there already, and stays so.
                if (known := self.index.revision(card["_id"])) != state_number(card)
                and (known is not None or card["status"] in MATCHED)
            ]
            await self._read_graph(since)
            taken = await self._take_ids(newer)
        self._has_read(looked)
        return taken

    async def reconcile(self, progress: Progress | None = None, *, idle: float = 0.0) -> int:
        """Compare every card with the store and read anew what differs, older or newer; returns how many did.

        Symptoms and edges are all read anew. For `idle` see `store_reading`.
        """
        looked = clock.now()
        symptoms = [library_symptom(symptom) async for symptom in documents(Symptom, {}, idle)]
        edges = [graph_relation(edge) async for edge in documents(KnowledgeRelation, {}, idle)]
        async with self._reading:
            await asyncio.to_thread(self.index.replace_graph, symptoms, filter(None, edges))
            self._said = {}
            self._say(symptoms)
            # What changed while they were read may have been read before that.
            await self._read_graph({"updated_at": {"$gte": looked - OVERLAP}})
        differing = await self._differing(idle)
        for start in range(0, len(differing), LOAD_BATCH):
            async with self._reading:
                await self._take_ids(differing[start : start + LOAD_BATCH])
            if progress is not None:
                progress(min(start + LOAD_BATCH, len(differing)), len(differing))
        self._has_read(looked)
        CARDS.set(len(self.index))
        return len(differing)

    def _has_read(self, until: datetime) -> None:
        # A comparison takes its time, and the polling has got further meanwhile.
        self._read_until = max(until, self._read_until or until)
        READ_UNTIL.set(self._read_until.timestamp())

    async def _differing(self, idle: float) -> list[str]:
        """Ids of the cards that have another state in the store than here. Changes meanwhile may make some too many."""
        matched = {"status": {"$in": MATCHED}}
        differing, known = [], 0
        async for card in states(matched, idle):
            revision = self.index.revision(card["_id"])
            known += revision is not None
            if revision != state_number(card):
                differing.append(card["_id"])
        if known < len(self.index):
            gone = set(self.index.revisions())
            async for card in states(matched, idle):
                gone.discard(card["_id"])
            differing += gone
        return differing

    async def _take_ids(self, card_ids: Iterable[str]) -> int:
        """Bring these cards, and symptoms, to the state they have in the store, absence of cards included. Only within
        `_reading`, so that reads cannot overtake each other."""
        noted = set(card_ids)
        if symptoms := sorted(one for one in noted if is_id(one, "symptom")):
            await self._read_symptoms({"_id": {"$in": symptoms}})
        if not (wanted := sorted(noted.difference(symptoms))):
            return 0
        cards = FailureCard.get_pymongo_collection().find({"_id": {"$in": wanted}}, dict.fromkeys(CARD_FIELDS, 1))
        found = [record async for card in cards if not (record := card_record(card)).is_retired]
        gone = set(wanted) - {card.card_id for card in found}
        changed, texts = await asyncio.to_thread(self._compare, found)
        embedder = self.index.embedder
        kept = await vectors.read(embedder.name, texts) if embedder is not None and texts else {}
        await asyncio.to_thread(self._put, changed, kept, embedder, gone)
        if embedder is not None and self.embedder is not None:
            await vectors.forget({embedder.name, self.embedder.name}, gone)
        if texts.keys() - kept.keys():
            self.embedding.wake()
        self._count(len(changed) + len(gone))
        return len(found)

    def _compare(self, cards: list[CardRecord]) -> tuple[list[CardRecord], dict[str, str]]:
        """The cards that say something new to the index, and the texts of those whose vector it does not have."""
        changed: list[CardRecord] = []
        texts: dict[str, str] = {}
        for card in cards:
            known = self.index.get(card.card_id)
            # Most writes of a card (uses, ratings) change nothing that is indexed.
            if card == known:
                self.index.note_revision(card.card_id, card.revision)
                continue
            text, vector = card_text(card), None
            if known is not None and card_text(known) == text:
                vector = self.index.vector(card.card_id)
            if vector is None and text:
                texts[card.card_id] = text
            name = self.index.embedder.name if self.index.embedder is not None else None
            changed.append(replace(card, vector=vector, vector_model=name))
        return changed, texts

    def _put(
        self, changed: list[CardRecord], kept: Mapping[str, Any], embedder: Embedder | None, gone: Iterable[str]
    ) -> None:
        for card in changed:
            if (vector := kept.get(card.card_id)) is not None and embedder is not None:
                card = replace(card, vector=vector, vector_model=embedder.name)
            self.index.upsert(card, embed=False)
        for card_id in gone:
            self.index.remove(card_id)

    def _count(self, changed: int) -> None:
        self._unsaved += changed
        CARDS.set(len(self.index))

    async def _read_graph(self, since: dict[str, Any]) -> None:
        await self._read_symptoms(since)
        edges = [edge async for edge in documents(KnowledgeRelation, since) if walked(edge)]

        def put() -> None:
            for edge in edges:
                if (relation := graph_relation(edge)) is not None:
                    self.index.put_relation(relation)
                else:
                    self.index.drop_relation(edge["source_id"], edge["target_id"])

        if edges:
            await asyncio.to_thread(put)

    async def _read_symptoms(self, query: dict[str, Any]) -> None:
        symptoms = [library_symptom(symptom) async for symptom in documents(Symptom, query)]

        def put() -> None:
            for symptom in symptoms:
                self.index.put_symptom(symptom)

        if symptoms:
            await asyncio.to_thread(put)
            self._say(symptoms)

    def _say(self, symptoms: Iterable[LibrarySymptom]) -> None:
        self._said |= {symptom.code: (symptom.name, *symptom.synonyms) for symptom in symptoms}
        self._wordings = None

    @property
    def wordings(self) -> Wordings:
        """What the symptom library says."""
        if self._wordings is None:
            self._wordings = Wordings(text for texts in self._said.values() for text in texts)
        return self._wordings

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
                    async with self._reading:
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

    async def _keep(self) -> None:
        """Now and then compare with the store, and save if enough has changed to be worth it."""
        pause = min(FIRST_SAVE_SECONDS, self.save_seconds)
        with acting_as(system("index")):
            while True:
                await asyncio.sleep(pause)
                pause = self.save_seconds
                try:
                    if differing := await self.reconcile(idle=UNHURRIED):
                        log.info("cards were brought in line with the store", count=differing)
                except PyMongoError as error:
                    log.warning("the index could not be compared with the store", reason=str(error))
                if self._unsaved > WORTH_SAVING * len(self.index):
                    await self.write_snapshot()

    async def write_snapshot(self) -> None:
        """Save the index, if there is a place for it."""
        if self.snapshot is not None:
            unsaved = self._unsaved
            if await asyncio.to_thread(snapshots.write, self.index, self.snapshot):
                self._unsaved -= unsaved


def _answer(waiting: list[asyncio.Future[None]]) -> None:
    for done in waiting:
        if not done.done():
            done.set_result(None)
