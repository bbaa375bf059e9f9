"""Vectors of cards, kept in the store so that no replica embeds a text that has been embedded before."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from app import clock
from models.embedding import CardVector, EmbedderState

BATCH = 1000
KEPT_AS = np.dtype("<f2")
"""Half the bytes, and finer by far than what the matching engine makes of it."""
DUPLICATE_KEY = 11000
STATE = "cards"


async def read(embedder: str, texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Kept vectors of the given texts, by card id. What was made of another text of a card is left out."""
    found: dict[str, np.ndarray] = {}
    wanted = [_id(card_id, embedder) for card_id in texts]
    async for kept in CardVector.get_pymongo_collection().find({"_id": {"$in": wanted}}):
        if bytes(kept["text_hash"]) == text_hash(texts[kept["card_id"]]):
            found[kept["card_id"]] = np.frombuffer(kept["vector"], KEPT_AS).astype(np.float32)
    return found


async def keep(embedder: str, texts: Mapping[str, str], vectors: Mapping[str, np.ndarray]) -> None:
    """Keep vectors of texts, by card id, in place of earlier ones."""
    writes = [
        ReplaceOne({"_id": _id(card_id, embedder)}, _document(card_id, embedder, texts[card_id], vector), upsert=True)
        for card_id, vector in vectors.items()
    ]
    try:
        if writes:
            await CardVector.get_pymongo_collection().bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        # Another replica has kept the same at the same time.
        if any(failed["code"] != DUPLICATE_KEY for failed in error.details["writeErrors"]):
            raise


async def forget(embedders: Iterable[str], card_ids: Iterable[str]) -> None:
    """Drop what is kept of cards that are no longer matched."""
    gone = list(card_ids)
    if gone:
        ids = [_id(card_id, embedder) for embedder in embedders for card_id in gone]
        await CardVector.get_pymongo_collection().delete_many({"_id": {"$in": ids}})


async def complete() -> str | None:
    """Name of the embedder whose vectors were complete last; None if none ever were."""
    state = await EmbedderState.get_pymongo_collection().find_one({"_id": STATE})
    return state["embedder"] if state else None


async def set_complete(embedder: str) -> None:
    """All cards have a vector by this embedder: other embedders' are not needed any more."""
    if await complete() != embedder:
        now = clock.now()
        state = {"_id": STATE, "embedder": embedder, "created_at": now, "updated_at": now, "revision": 1}
        await EmbedderState.get_pymongo_collection().replace_one({"_id": STATE}, state, upsert=True)


async def sweep(embedder: str, count: int, is_matched: Callable[[str], bool]) -> int:
    """Drop the vectors of other embedders, and those of cards that are not matched; returns how many.

    `count` is the number of matched cards: as long as no more vectors are kept, none is looked at.
    """
    collection = CardVector.get_pymongo_collection()
    dropped = 0
    for other in await collection.distinct("embedder"):
        if other != embedder:
            dropped += await _drop(other, lambda _: True)
    if await collection.count_documents({"embedder": embedder}) > count:
        dropped += await _drop(embedder, lambda card_id: not is_matched(card_id))
    return dropped


async def drop_all() -> int:
    """Drop every vector, so that all cards are embedded anew; returns how many."""
    await EmbedderState.get_pymongo_collection().delete_one({"_id": STATE})
    names = await CardVector.get_pymongo_collection().distinct("embedder")
    return sum([await _drop(name, lambda _: True) for name in names])


async def _drop(embedder: str, which: Callable[[str], bool]) -> int:
    """In batches: one command for many documents would hold up everybody else."""
    collection = CardVector.get_pymongo_collection()
    kept = collection.find({"embedder": embedder}, {"card_id": 1})
    ids = [vector["_id"] async for vector in kept if which(vector["card_id"])]
    for start in range(0, len(ids), BATCH):
        await collection.delete_many({"_id": {"$in": ids[start : start + BATCH]}})
    return len(ids)


def text_hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _id(card_id: str, embedder: str) -> str:
    return f"{card_id}|{embedder}"


def _document(card_id: str, embedder: str, text: str, vector: np.ndarray) -> dict[str, Any]:
    now = clock.now()
    return {
        "_id": _id(card_id, embedder),
        "card_id": card_id,
        "embedder": embedder,
        "text_hash": text_hash(text),
        "vector": vector.astype(KEPT_AS).tobytes(),
        "created_at": now,
        "updated_at": now,
        "revision": 1,
    }
