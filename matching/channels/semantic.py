"""Semantic channel: cosine of embeddings."""

from concurrent.futures import Executor
from typing import Any

import numpy as np

from matching.channels.base import Channel, Hits
from matching.embedding import Embedder, EmbeddingFailed, unit_rows
from matching.query import Query
from matching.records import CardRecord
from matching.results import Reason
from matching.vectors import Scan, VectorStore

SCAN = "semantic scan"
"""Where a query keeps the scan that was begun for it."""


def card_text(card: CardRecord) -> str:
    """What of a card is embedded, most telling first since sentence models cut long text."""
    return "\n".join(
        part
        for part in (card.title, card.symptom_text, *card.symptom_phrases, card.root_cause, card.description)
        if part
    )


class SemanticChannel(Channel):
    """`off` tells why it cannot serve when there is no embedder. Slots in `pending` await their `set_vectors`."""

    name = "semantic"

    def __init__(self, embedder: Embedder | None) -> None:
        self.embedder = embedder
        self.off = None if embedder is not None else "no embedding model is installed"
        self.store = VectorStore(embedder.dimension if embedder is not None else 0)
        self.pending: set[int] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Without the embedder, which is put in again by who loads the channel."""
        return self.__dict__ | {"embedder": None}

    def add(self, slot: int, card: CardRecord) -> None:
        if self.embedder is None:
            return
        if card.vector_model == self.embedder.name and np.shape(card.vector) == (self.embedder.dimension,):
            self.store.put(slot, unit_rows(np.asarray(card.vector)[None, :])[0])
        elif card_text(card):
            self.pending.add(slot)

    def set_vectors(self, slots: list[int], vectors: np.ndarray) -> None:
        """Stores embeddings made outside the lock; slots whose card has gone meanwhile are passed over."""
        for slot, vector in zip(slots, unit_rows(vectors), strict=True):
            if slot in self.pending:
                self.pending.discard(slot)
                self.store.put(slot, vector)

    def keep_vector(self, slot: int, vector: np.ndarray) -> None:
        """Stores what `vector` has told of a card that has come into this slot since."""
        self.pending.discard(slot)
        self.store.put(slot, vector)

    def vector(self, slot: int) -> np.ndarray | None:
        """The stored vector of a slot, None while it is pending or if the card has no text."""
        return self.store.get(slot)

    def remove(self, slot: int, card: CardRecord) -> None:
        self.pending.discard(slot)
        self.store.drop(slot)

    def release(self, block: int) -> None:
        self.store.release(block)

    def prepare(self, query: Query) -> None:
        """Embeds the case; called before the index is locked, since a model takes milliseconds."""
        self._wanted(query)

    def embeds(self, query: Query) -> bool:
        """Whether `prepare` has a text to embed and a model for it."""
        return self.embedder is not None and bool(query.case.text.strip())

    def off_for(self, query: Query) -> str | None:
        wanted = self._embedded(query)
        return wanted if isinstance(wanted, str) else self.off

    def understands(self, query: Query) -> bool:
        """Whether the case has a meaning this channel can compare: text, and not only signs the model does not know."""
        wanted = self._wanted(query)
        return wanted is not None and bool(wanted.any())

    def _wanted(self, query: Query) -> np.ndarray | None:
        """The case's vector by this channel's embedder; None without an embedder or text, or if embedding failed."""
        wanted = self._embedded(query)
        return None if isinstance(wanted, str) else wanted

    def _embedded(self, query: Query) -> np.ndarray | str | None:
        """The case's vector, or why there is none although it has text; asked of the embedder once."""
        if not self.embeds(query):
            return None
        # A query prepared before the embedder was exchanged holds a vector of the former one.
        key = f"{self.name}:{self.embedder.name}"
        if key not in query.memo:
            try:
                query.memo[key] = unit_rows(self.embedder.embed_question(query.case.text)[None, :])[0]
            except EmbeddingFailed as failed:
                query.memo[key] = str(failed)
        return query.memo[key]

    def typical(self, query: Query) -> float:
        """Mean cosine of the case with all cards: how far it speaks their language at all."""
        wanted = self._wanted(query)
        return 0.0 if wanted is None else self.store.typical(wanted)

    def begin(self, query: Query, allowed: np.ndarray, threads: Executor) -> Scan | None:
        """Lets another thread begin with what `search` will ask for; the index must stay locked until it is finished.

        None if there is nothing to search for.
        """
        wanted = self._wanted(query)
        if wanted is None:
            return None
        scan = query.memo[SCAN] = self.store.scan(wanted, allowed)
        scan.share(threads)
        return scan

    def search(self, query: Query, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> Hits:
        wanted = self._wanted(query)
        if wanted is None:
            return Hits.none()
        scan = query.memo.pop(SCAN, None) or self.store.scan(wanted, allowed)
        return Hits.of(*self.store.nearest(scan, limit, favoured))

    def score(self, query: Query, slots: np.ndarray) -> np.ndarray:
        wanted = self._wanted(query)
        if wanted is None:
            return np.zeros(len(slots), dtype=np.float32)
        # Opposite meaning is no evidence against a card, and rounding may pass 1.
        return np.clip(self.store.score(wanted, slots), 0, 1, dtype=np.float32)

    def explain(self, query: Query, slot: int, score: float) -> list[Reason]:
        return [Reason(self.name, f"reads alike (cosine {score:.2f})", score)] if score > 0 else []
