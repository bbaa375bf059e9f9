"""Cards get their vectors in the background, and the embedder is exchanged behind the matches' back.

A card without a vector is matched by every other channel meanwhile. Where another embedder was configured before, its
vectors serve until those of the new one are complete.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import structlog
from pymongo.errors import PyMongoError

from app.security import acting_as, system
from app.tasks import end
from matching import CardIndex, Embedder
from matching.embedding import EmbeddingFailed
from services import leases
from services.diagnosis import vectors
from services.diagnosis.metrics import CARDS_TO_EMBED

log = structlog.get_logger(__name__)

CHUNK, BATCH = 256, 64
"""Cards taken up at a time: no match waits longer than reading so many; and cards embedded at a time: what a crash
costs, and what a shutdown waits for."""
FEW = 8
"""Up to so many cards are embedded by every replica that needs them: asking the others first would take longer."""
OTHERS_SECONDS = 1.0
"""How often is looked whether the replica that embeds has come further."""
RETRY_SECONDS = 30.0
LOG_SECONDS = 30.0

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Advance:
    """How far a longer piece of work has come. `serving` embeds the questions meanwhile."""

    embedder: str
    serving: str
    done: int
    total: int

    def __str__(self) -> str:
        counts = f"{self.done:,} of {self.total:,} cards by {self.embedder}"
        if self.embedder != self.serving:
            return f"re-embedding {counts}; {self.serving} serves meanwhile"
        return f"embedding {counts}; the others are matched without"


class CardEmbedding:
    """Works on `index` until `wanted` has embedded all its cards; None leaves the index as it is.

    `on_vectors` is told the number of vectors taken in.
    """

    def __init__(
        self, index: CardIndex, wanted: Embedder | None, on_vectors: Callable[[int], None] = lambda _: None
    ) -> None:
        self.index, self.wanted = index, wanted
        self.advance: Advance | None = None
        self.trouble = ""
        self._on_vectors = on_vectors
        self._logged = 0.0
        self._settled = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="card-embedding")

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)
            self._task = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    def wake(self) -> None:
        """There may be cards without a vector."""
        self._wake.set()

    async def fill(self, progress: Progress | None = None) -> None:
        """Embed what the serving embedder has not seen, and leave it at that. Raises EmbeddingFailed."""
        serving = self.index.embedder
        try:
            while serving is not None and await self._step(serving, progress):
                pass
        finally:
            self.advance = None

    async def finish(self, progress: Progress | None = None) -> None:
        """Exchange the embedder if another is wanted, embed what is left, and drop what nobody needs any more.

        Raises EmbeddingFailed.
        """
        if self.wanted is None:
            return
        if self.index.embedder is not None and self.index.embedder.name != self.wanted.name:
            try:
                await self._exchange(self.wanted, progress)
            finally:
                self.advance = None
        await self.fill(progress)
        await self._settle(self.wanted)

    async def _run(self) -> None:
        with acting_as(system("card-embedding")):
            while True:
                self._wake.clear()
                try:
                    await self.finish()
                    self.trouble = ""
                except (EmbeddingFailed, PyMongoError) as error:
                    self.trouble = str(error)
                    log.warning("cards cannot be embedded", reason=self.trouble, again_in_seconds=RETRY_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS if self.trouble else None):
                        await self._wake.wait()

    async def _exchange(self, wanted: Embedder, progress: Progress | None) -> None:
        serving = self.index.embedder
        log.info("re-embedding", cards=len(self.index), by=wanted.name, meanwhile=serving and serving.name)
        await asyncio.to_thread(self.index.prepare_exchange, wanted)
        try:
            while not await asyncio.to_thread(self.index.exchange):
                # Cards that come meanwhile are found by the serving embedder first.
                if serving is None or not await self._step(serving, None):
                    await self._step(wanted, progress)
        finally:
            await asyncio.to_thread(self.index.abandon_exchange)
        log.info("re-embedded", cards=len(self.index), by=wanted.name)

    async def _step(self, embedder: Embedder, progress: Progress | None) -> bool:
        """Take up a chunk of the cards that await their vector; False if none does."""
        awaiting = self.index.awaiting(embedder.name)
        self._report(embedder, awaiting, progress)
        if not awaiting:
            return False
        texts = await asyncio.to_thread(self.index.pending, embedder.name, CHUNK)
        kept = await vectors.read(embedder.name, texts)
        await self._put(embedder, texts, kept, progress)
        missing = {card_id: text for card_id, text in texts.items() if card_id not in kept}
        if len(missing) <= FEW:
            await self._embed(embedder, missing, progress)
            return True
        async with leases.hold(f"embedding:{embedder.name}") as held:
            if held:
                await self._embed(embedder, missing, progress)
            else:
                await asyncio.sleep(OTHERS_SECONDS)
        return True

    async def _embed(self, embedder: Embedder, texts: dict[str, str], progress: Progress | None) -> None:
        left = iter(texts.items())
        while batch := dict(islice(left, BATCH)):
            rows = await asyncio.to_thread(embedder.embed, list(batch.values()))
            made = dict(zip(batch, rows, strict=True))
            await vectors.keep(embedder.name, batch, made)
            await self._put(embedder, batch, made, progress)

    async def _put(
        self, embedder: Embedder, texts: dict[str, str], made: dict[str, np.ndarray], progress: Progress | None
    ) -> None:
        if made:
            await asyncio.to_thread(self.index.put_vectors, embedder.name, texts, made)
            self._on_vectors(len(made))
        self._report(embedder, self.index.awaiting(embedder.name), progress)

    async def _settle(self, embedder: Embedder) -> None:
        """Everything is embedded: what was kept for other embedders and of other cards can go. Looked at once."""
        if self._settled:
            return
        await vectors.set_complete(embedder.name)
        if dropped := await vectors.sweep(embedder.name, len(self.index), self.index.__contains__):
            log.info("vectors that nobody needs were dropped", count=dropped)
        self._settled = True

    def _report(self, embedder: Embedder, left: int, progress: Progress | None) -> None:
        """Tell log, figures and whoever asks how far it is."""
        serving = self.index.embedder
        if self.wanted is None or embedder.name != self.wanted.name or serving is None:
            return
        CARDS_TO_EMBED.set(left)
        if self.advance is None or self.advance.total < left:
            self.advance = Advance(embedder.name, serving.name, 0, left)
            self._logged = time.monotonic()
        self.advance.done = self.advance.total - left
        if progress is not None and self.advance.total:
            progress(self.advance.done, self.advance.total)
        if left and time.monotonic() >= self._logged + LOG_SECONDS:
            self._logged = time.monotonic()
            log.info("embedding cards", done=self.advance.done, of=self.advance.total, by=embedder.name)
