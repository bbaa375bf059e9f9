"""Cosine search over a changing set of unit vectors: sign bits find, int8 rows rank.

A vector takes one bit and one byte per dimension. The Hamming distance of sign bits orders roughly (it estimates the
angle); the nearest few hundred are scored again from their int8 rows, which is exact to about 0.005.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from matching.kernels import cosines, hamming
from matching.storage import BLOCK, Column, by_block, distinct, rank

SHORTLIST = 512
"""Rows scored again, at least; with 384 dimensions it keeps more than 95 % of the true ten nearest of a million."""

UNUSABLE = 0xFFFF
"""Distance of a slot that is not allowed or holds no vector."""


class VectorStore:
    """`dimension` must be a multiple of 64. Slots without a vector, or with a zero one, are never found."""

    def __init__(self, dimension: int) -> None:
        if dimension % 64:
            raise ValueError(f"a dimension that is a multiple of 64 is needed, not {dimension}")
        self.dimension = dimension
        self._bits: list[np.ndarray | None] = []  # by block; the index writes a row once as long as the block lives
        self._rows: list[np.ndarray | None] = []
        self._scales = Column(np.float32)
        self._sum = np.zeros(dimension)
        self._count = 0
        self._distances = np.empty(0, dtype=np.uint16)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_distances": np.empty(0, dtype=np.uint16)}

    def put(self, slot: int, vector: np.ndarray) -> None:
        """Stores a unit vector, or none where it is zero."""
        self.drop(slot)
        self._scales.resize(slot + 1)
        peak = float(np.abs(vector).max(initial=0))
        if peak == 0:
            return
        block, place = divmod(slot, BLOCK)
        for blocks in (self._bits, self._rows):
            blocks.extend([None] * (block + 1 - len(blocks)))
        bits, rows = self._bits[block], self._rows[block]
        if bits is None or rows is None:
            # Of zeros not yet touched no memory is taken.
            bits = self._bits[block] = np.zeros((BLOCK, self.dimension // 64), dtype=np.uint64)
            rows = self._rows[block] = np.zeros((BLOCK, self.dimension), dtype=np.int8)
        bits[place] = np.packbits(vector > 0).view(np.uint64)
        rows[place] = np.rint(vector * (127 / peak))
        self._scales[slot] = peak / 127
        self._sum += rows[place] * float(self._scales[slot])
        self._count += 1

    def drop(self, slot: int) -> None:
        if (vector := self.get(slot)) is not None:
            self._sum -= vector
            self._count -= 1
            self._scales[slot] = 0

    def release(self, block: int) -> None:
        """Gives back the memory of a block of slots whose vectors have all been dropped."""
        if block < len(self._rows):
            self._bits[block] = self._rows[block] = None

    def get(self, slot: int) -> np.ndarray | None:
        """The vector of a slot as stored, None if it has none."""
        rows = self._rows[slot // BLOCK] if slot // BLOCK < len(self._rows) else None
        if rows is None or slot >= self._scales.size or self._scales[slot] == 0:
            return None
        return rows[slot % BLOCK].astype(np.float32) * self._scales[slot]

    def settled(self) -> Iterator[np.ndarray]:
        """Arrays of which nothing that is in use ever changes."""
        yield from (array for array in (*self._bits, *self._rows) if array is not None)

    def typical(self, wanted: np.ndarray) -> float:
        """Mean cosine of `wanted` with all stored vectors; 0 without any."""
        return float(self._sum @ wanted) / self._count if self._count else 0.0

    def score(self, wanted: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Float32 cosines of `wanted` with the given slots; 0 where there is no vector."""
        out = np.zeros(len(slots), dtype=np.float32)
        wanted = np.ascontiguousarray(wanted, dtype=np.float32)
        for block, where, places in by_block(slots):
            rows = self._rows[block] if block < len(self._rows) else None
            if rows is not None:
                self._scales.resize((block + 1) * BLOCK)
                found = np.empty(len(places), dtype=np.float32)
                cosines(rows, places, self._scales.data[block * BLOCK :], wanted, found)
                out[where] = found
        return out

    def search(
        self, wanted: np.ndarray, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slots and positive cosines of the nearest among the allowed, nearest first; for `favoured` see `rank`."""
        size = len(allowed)
        self._scales.resize(size)
        if len(self._distances) < size:
            self._distances = np.empty(size + BLOCK, dtype=np.uint16)
        distances = self._distances[:size]
        scales = self._scales.data
        signs = np.packbits(wanted > 0).view(np.uint64)
        counts = np.zeros(self.dimension + 1, dtype=np.int64)
        for block, bits in enumerate(self._bits):
            span = slice(block * BLOCK, min(size, (block + 1) * BLOCK))
            if bits is None:
                distances[span] = UNUSABLE
            elif span.start < size:
                hamming(bits[: span.stop - span.start], signs, allowed[span], scales[span], distances[span], counts)
        distances[len(self._bits) * BLOCK :] = UNUSABLE
        wished = max(SHORTLIST, 2 * limit)
        slots = np.flatnonzero(distances <= min(int(np.searchsorted(np.cumsum(counts), wished)), self.dimension))
        if favoured is not None and len(favoured):
            near = distances[favoured]
            order = np.argsort(near, kind="stable")[:wished]
            slots = distinct(np.concatenate((slots, favoured[order[near[order] < UNUSABLE]])))
        slots, scores = rank(slots, self.score(wanted, slots), limit, favoured)
        return slots, np.minimum(scores, np.float32(1))
