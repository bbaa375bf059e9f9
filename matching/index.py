"""CardIndex: the failure cards in memory, seen through every channel, changed card by card without a rebuild."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

from matching.channels import (
    Channel,
    ConditionChannel,
    ExactChannel,
    GraphChannel,
    KeywordChannel,
    OverlapChannel,
    SemanticChannel,
    SignatureChannel,
    VehicleChannel,
)
from matching.channels.semantic import card_text
from matching.embedding import Embedder
from matching.ids import CardIds
from matching.query import Query
from matching.record_store import Head, RecordStore
from matching.records import CardRecord, Case, Relation, Symptom
from matching.slots import Slots, some_in
from matching.spelling import MOST_WORDS, Correction, can_be_misspelt
from matching.storage import Column, Progress

EMBED_BATCH = 64


class CardIndex:
    """Thread-safe. Retired (deprecated) cards are never held; drafts are, and only matched on request.

    Every change is visible in the next match. Embedding happens outside the lock, so that a slow model never holds up
    a match. Who holds `still` keeps changes away while matches go on; it must not be asked for within `lock`.
    """

    def __init__(
        self,
        embedder: Embedder | None = None,
        *,
        symptoms: Iterable[Symptom] = (),
        relations: Iterable[Relation] = (),
    ) -> None:
        self.exact = ExactChannel()
        self.signature = SignatureChannel()
        self.keyword = KeywordChannel()
        self.overlap = OverlapChannel(self.keyword.engine)
        self.semantic = SemanticChannel(embedder)
        self._successor: SemanticChannel | None = None
        self.vehicle = VehicleChannel()
        self._ids, self._slots = CardIds(), Slots()
        self.graph = GraphChannel(symptoms, relations, self._ids)
        self.condition = ConditionChannel()
        self.lock, self.still = threading.RLock(), threading.RLock()
        self._records = RecordStore()
        self.alive = Column(np.bool_)
        self.approved = Column(np.bool_)
        self.effectiveness, self.confidence = Column(np.float32), Column(np.float32)
        self.evidence = Column(np.float32, fill=np.nan)
        self._revisions = Column(np.int64)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what belongs to a process: the locks, and a change of embedder under way."""
        return {name: value for name, value in self.__dict__.items() if name not in ("lock", "still", "_successor")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock, self.still, self._successor = threading.RLock(), threading.RLock(), None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self.still, self.lock:
            yield

    @property
    def channels(self) -> dict[str, Channel]:
        """All channels by name."""
        everything = (
            self.signature, self.exact, self.overlap, self.keyword, self.semantic, self.vehicle, self.graph,
            self.condition,
        )  # fmt: skip
        return {channel.name: channel for channel in everything}

    @property
    def embedder(self) -> Embedder | None:
        return self.semantic.embedder

    def embedder_for(self, query: Query) -> Embedder | None:
        """The embedder that has told what the query means; None for one without words."""
        return self.embedder if self.semantic.understands(query) else None

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[CardRecord]:
        with self.lock:
            return iter([self._records.get(slot) for slot in self._ids.slots().tolist()])

    def __contains__(self, card_id: str) -> bool:
        return self._ids.slot(card_id) is not None

    def get(self, card_id: str) -> CardRecord | None:
        """The card as it was upserted, without its vector."""
        with self.lock:
            slot = self._ids.slot(card_id)
            return None if slot is None else self._records.get(slot)

    def revision(self, card_id: str) -> int | None:
        """The `revision` the card was upserted with; None if it is not there."""
        with self.lock:
            slot = self._ids.slot(card_id)
            return None if slot is None else int(self._revisions[slot])

    def note_revision(self, card_id: str, revision: int) -> None:
        """The card has been written again without a change of what it says; nothing happens if it is not there."""
        with self._changing():
            if (slot := self._ids.slot(card_id)) is not None:
                self._revisions[slot] = revision

    def revisions(self) -> dict[str, int]:
        """The `revision` of every card, by card id."""
        with self.lock:
            slots = self._ids.slots()
            return dict(zip(self._ids.at(slots), self._revisions[slots].tolist(), strict=True))

    def upsert(self, card: CardRecord, *, embed: bool = True) -> None:
        """Adds the card or replaces its former version; a retired card is removed instead.

        With `embed=False` the card waits in the semantic channel for the next `embed_pending` and is matched by every
        other channel at once.
        """
        with self._changing():
            self._put(card)
        if embed:
            self.embed_pending()

    def upsert_many(self, cards: Iterable[CardRecord], *, progress: Progress | None = None, embed: bool = True) -> int:
        """Upserts all cards and returns their number; `progress(done, total)` follows the embedding."""
        count = 0
        for card in cards:
            with self._changing():
                self._put(card)
            count += 1
        if embed:
            self.embed_pending(progress=progress)
        return count

    def remove(self, card_id: str) -> bool:
        """Takes the card out; False if it was not there."""
        with self._changing():
            slot = self._ids.pop(card_id)
            if slot is None:
                return False
            self._clear(slot, self._records.get(slot))
            return True

    def _put(self, card: CardRecord) -> None:
        self.remove(card.card_id)
        if not card.is_retired:
            self._fill(self._slots.take(), card)
        # Two cards are moved for every one that comes: more room is won than used.
        if (block := self._slots.thin()) is not None:
            for slot in some_in(block, self.alive.data, 2):
                self._move(slot)

    def _fill(self, slot: int, card: CardRecord) -> None:
        self._ids.put(card.card_id, slot)
        self._records.put(slot, card)
        self._revisions[slot] = card.revision
        self.effectiveness[slot], self.confidence[slot] = card.effectiveness, card.confidence_score
        self.evidence[slot] = np.nan if card.evidence_lower is None else card.evidence_lower
        self.alive[slot] = True
        self.approved[slot] = not card.is_draft
        for channel in self._fed():
            channel.add(slot, card)

    def _clear(self, slot: int, card: CardRecord) -> None:
        self._records.drop(slot)
        self.alive[slot] = self.approved[slot] = False
        for channel in self._fed():
            channel.remove(slot, card)
        block = self._slots.drop(slot)
        if block is not None:
            self._records.release(block)
            for channel in self._fed():
                channel.release(block)

    def _move(self, slot: int) -> None:
        """Puts a card into another slot, with its vectors as they are."""
        card = replace(self._records.get(slot), revision=int(self._revisions[slot]))
        vectors = {id(channel): channel.vector(slot) for channel in self._semantics()}
        self._ids.pop(card.card_id)
        self._clear(slot, card)
        new = self._slots.take()
        self._fill(new, card)
        for channel in self._semantics():
            if (vector := vectors[id(channel)]) is not None:
                channel.keep_vector(new, vector)

    def read_cards_from(self, source: BinaryIO, base: int) -> None:
        """See `RecordStore.read_from`."""
        self._records.read_from(source, base)

    def settled(self) -> Iterator[np.ndarray]:
        """Large arrays of which nothing that is in use ever changes, however the index does."""
        for part in (self.keyword.engine, self.semantic.store):
            yield from part.settled()

    def _semantics(self) -> list[SemanticChannel]:
        return [channel for channel in (self.semantic, self._successor) if channel is not None]

    def _fed(self) -> list[Channel]:
        """The channels that every change goes to: all that serve, and the one that is about to."""
        return [*self.channels.values(), *([self._successor] if self._successor is not None else [])]

    def embed_pending(self, *, limit: int | None = None, progress: Progress | None = None) -> int:
        """Embeds up to `limit` waiting cards and returns how many were embedded."""
        return self._embed(self.semantic, limit, progress)

    def reembed(self, embedder: Embedder, progress: Progress | None = None) -> None:
        """Embeds all cards by another embedder, then serves by it from one match to the next.

        Blocks for as long as that takes and belongs into a thread of its own; meanwhile the former vectors serve and
        cards come and go. What the embedder raises leaves everything as it was. One change of embedder at a time.
        """
        successor = self.prepare_exchange(embedder)
        try:
            while not self.exchange():
                self._embed(successor, None, progress)
        finally:
            self.abandon_exchange()

    def prepare_exchange(self, embedder: Embedder) -> SemanticChannel:
        """Begins to change the embedder: all cards await a vector by the new one while the former serves.

        Blocks for a few microseconds per card. Raises RuntimeError if a change is under way already.
        """
        successor = SemanticChannel(embedder)
        with self._changing():
            if self._successor is not None:
                raise RuntimeError("the embedder is being changed already")
            self._successor = successor
            slots = self._ids.slots().tolist()
        for start in range(0, len(slots), EMBED_BATCH):
            with self._changing():
                for slot in slots[start : start + EMBED_BATCH]:
                    if self.alive[slot]:
                        successor.add(slot, self.card_at(slot))
        return successor

    def exchange(self) -> bool:
        """Serves by the prepared embedder from the next match on; False as long as cards await its vectors."""
        with self._changing():
            if self._successor is None or self._successor.pending:
                return False
            self.semantic, self._successor = self._successor, None
            return True

    def abandon_exchange(self) -> None:
        """Leaves the serving embedder as it is; nothing happens if no change is under way."""
        with self._changing():
            self._successor = None

    def awaiting(self, embedder: str) -> int:
        """How many cards await their vector by this embedder, be it the serving or the prepared one."""
        with self.lock:
            return len(self._by(embedder))

    def pending(self, embedder: str, limit: int) -> dict[str, str]:
        """Card ids and texts of up to `limit` cards that await their vector by this embedder."""
        with self.lock:
            slots = islice(self._by(embedder), limit)
            return {card.card_id: card_text(card) for card in map(self.card_at, slots)}

    def put_vectors(self, embedder: str, texts: Mapping[str, str], vectors: Mapping[str, np.ndarray]) -> None:
        """Takes in vectors of the texts, by card id, made by this embedder.

        Cards that read otherwise by now, or have gone, are passed over; so is everything by an embedder that neither
        serves nor is prepared: vectors of different embedders never mix.
        """
        with self._changing():
            for channel in filter(None, (self.semantic, self._successor)):
                if channel.embedder is None or channel.embedder.name != embedder:
                    continue
                slots = {card_id: slot for card_id in vectors if (slot := self._ids.slot(card_id)) is not None}
                fitting = [
                    card_id
                    for card_id, slot in slots.items()
                    if slot in channel.pending and card_text(self.card_at(slot)) == texts[card_id]
                ]
                if fitting:
                    rows = np.stack([vectors[card_id] for card_id in fitting])
                    channel.set_vectors([slots[card_id] for card_id in fitting], rows)

    def _by(self, embedder: str) -> set[int]:
        """Slots that await a vector by this embedder."""
        for channel in filter(None, (self.semantic, self._successor)):
            if channel.embedder is not None and channel.embedder.name == embedder:
                return channel.pending
        return set()

    def _embed(self, channel: SemanticChannel, limit: int | None, progress: Progress | None) -> int:
        """Fills in vectors that a channel waits for, the model running outside the lock; returns their number."""
        if channel.embedder is None:
            return 0
        with self.lock:
            waiting = sorted(channel.pending)[:limit]
        for start in range(0, len(waiting), EMBED_BATCH):
            with self.lock:
                batch = [slot for slot in waiting[start : start + EMBED_BATCH] if slot in channel.pending]
                texts = [card_text(self.card_at(slot)) for slot in batch]
            if batch:
                vectors = channel.embedder.embed(texts)
                with self._changing():
                    channel.set_vectors(batch, vectors)
            if progress is not None:
                progress(min(start + EMBED_BATCH, len(waiting)), len(waiting))
        return len(waiting)

    def vector(self, card_id: str) -> np.ndarray | None:
        """The card's embedding by `embedder`, for storing beside the document; None while there is none."""
        with self.lock:
            slot = self._ids.slot(card_id)
            return None if slot is None else self.semantic.vector(slot)

    def put_symptom(self, symptom: Symptom) -> None:
        with self._changing():
            self.graph.put_symptom(symptom)

    def put_relation(self, relation: Relation) -> None:
        with self._changing():
            self.graph.put_relation(relation)

    def drop_relation(self, source: str, target: str) -> None:
        with self._changing():
            self.graph.drop_relation(source, target)

    def replace_graph(self, symptoms: Iterable[Symptom], relations: Iterable[Relation]) -> None:
        """Knows these symptoms and edges from now on and no others."""
        library = GraphChannel(symptoms, relations)
        with self._changing():
            self.graph.adopt(library)

    def read(self, case: Case) -> Query:
        """The case made ready for the channels but not embedded yet."""
        with self.lock:
            query = Query(case, self.exact.known_codes)
            query.corrections = self._corrections(query)
            query.hints = self.graph.hints(query)
        return query

    def prepare(self, case: Case) -> Query:
        """The case made ready for the channels, embedded if there is a model."""
        query = self.read(case)
        self.semantic.prepare(query)
        return query

    def _corrections(self, query: Query) -> dict[str, Correction]:
        """What the terms that neither cards nor symptoms have are read as; of many only the first are looked up."""
        cards, symptoms = self.keyword.engine, self.graph.wordings
        doubtful = (
            term
            for term in query.term_counts
            if can_be_misspelt(term) and not cards.frequency(term) and not symptoms.frequency(term)
        )
        read = ((term, self._nearest(term)) for term in islice(doubtful, MOST_WORDS))
        return {term: correction for term, correction in read if correction is not None}

    def _nearest(self, term: str) -> Correction | None:
        return self.keyword.spelling.nearest(term) or self.graph.spelling.nearest(term)

    def card_at(self, slot: int) -> CardRecord:
        """The living card in a slot."""
        return self._records.get(slot)

    def head_at(self, slot: int) -> Head:
        """What a list of cards shows of the living card in a slot."""
        return self._records.head(slot)

    def ids_at(self, slots: np.ndarray) -> list[str]:
        """Ids of the living cards in these slots."""
        return self._ids.at(slots)

    def slot_of(self, card_id: str) -> int | None:
        return self._ids.slot(card_id)
