"""Text to vectors: the port every embedder fits, and one that needs no model."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np

from matching.text import terms


class EmbeddingFailed(RuntimeError):
    """The embedder cannot answer now, but may later; the message says why."""


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors. `name` identifies model and version: vectors of different names are never compared.

    May be called by several threads.
    """

    name: str
    dimension: int

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 array (len(texts), dimension) with rows of length 1, or all zero for a text without content.

        Raises EmbeddingFailed.
        """
        ...

    def embed_question(self, text: str) -> np.ndarray:
        """The vector that `embed` gives, for somebody who waits: worth a cache, and failing soon if it must fail.

        Raises EmbeddingFailed.
        """
        ...


class HashingEmbedder:
    """Signed feature hashing of terms and their neighbours: the spec's fallback when no sentence model is there.

    It sees shared words and word pairs only, but needs no weights and no training, and is the same on every machine.
    """

    def __init__(self, dimension: int = 384) -> None:
        self.name = f"hashing-{dimension}-v1"
        self.dimension = dimension

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            sequence = terms(text)
            for feature in {*sequence, *map(" ".join, pairwise(sequence))}:
                number = _hash(feature)
                # Two positions per feature halve the damage of a collision; pairs weigh less than words.
                weight = 0.5 if " " in feature else 1.0
                for part in (number & 0xFFFFFFFF, number >> 32):
                    row[(part >> 1) % self.dimension] += weight if part & 1 else -weight
        return unit_rows(vectors)

    def embed_question(self, text: str) -> np.ndarray:
        return self.embed([text])[0]


@lru_cache(maxsize=65536)
def _hash(feature: str) -> int:
    return int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1 as float32; rows that are zero or not finite become zero, so that no NaN travels on."""
    vectors = np.asarray(vectors, dtype=np.float32)
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        vectors = np.where(bad[:, None], np.float32(0), vectors)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(norms) & (norms > 1e-12)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=usable)
