"""Cosine search over a changing set of unit vectors: sign bits find, int8 rows rank.

A vector takes one bit and one byte per dimension. The Hamming distance of sign bits orders roughly (it estimates the
angle); the nearest few hundred are scored again from their int8 rows, which is exact to about 0.005.
"""

import numpy as np

from matching.kernels import hamming
from matching.storage import Column, rank, top

SHORTLIST = 512
"""Rows scored again, at least; with 384 dimensions it keeps more than 95 % of the true ten nearest of a million."""


class VectorStore:
    """`dimension` must be a multiple of 64. Slots without a vector, or with a zero one, are never found."""

    def __init__(self, dimension: int) -> None:
        if dimension % 64:
            raise ValueError(f"a dimension that is a multiple of 64 is needed, not {dimension}")
        self.dimension = dimension
        self._bits = Column(np.uint64, width=dimension // 64)
        self._rows = Column(np.int8, width=dimension)
        self._scales = Column(np.float32)
        self._sum = np.zeros(dimension)
        self._count = 0

    def put(self, slot: int, vector: np.ndarray) -> None:
        """Stores a unit vector, or none where it is zero."""
        self.drop(slot)
        peak = float(np.abs(vector).max(initial=0))
        if peak == 0:
            return
        self._bits[slot] = np.packbits(vector > 0).view(np.uint64)
        self._rows[slot] = np.rint(vector * (127 / peak))
        self._scales[slot] = peak / 127
        self._sum += self._rows[slot] * float(self._scales[slot])
        self._count += 1

    def drop(self, slot: int) -> None:
        self._resize(slot + 1)
        if self._scales[slot] > 0:
            self._sum -= self._rows[slot] * float(self._scales[slot])
            self._count -= 1
            self._scales[slot] = 0

    def get(self, slot: int) -> np.ndarray | None:
        """The vector of a slot as stored, None if it has none."""
        if slot >= self._scales.size or self._scales[slot] == 0:
            return None
        return self._rows[slot].astype(np.float32) * self._scales[slot]

    def typical(self, wanted: np.ndarray) -> float:
        """Mean cosine of `wanted` with all stored vectors; 0 without any."""
        return float(self._sum @ wanted) / self._count if self._count else 0.0

    def score(self, wanted: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Float32 cosines of `wanted` with the given slots; 0 where there is no vector."""
        if not len(slots) or int(slots.max()) >= self._scales.size:
            self._resize(int(slots.max(initial=-1)) + 1)
        return (self._rows[slots].astype(np.float32) @ wanted.astype(np.float32)) * self._scales[slots]

    def search(
        self, wanted: np.ndarray, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slots and positive cosines of the nearest among the allowed, nearest first; for `favoured` see `top`."""
        size = len(allowed)
        self._resize(size)
        distance = np.empty(size, dtype=np.uint16)
        hamming(self._bits.data[:size], np.packbits(wanted > 0).view(np.uint64), distance)
        near = (self.dimension + 1 - distance).astype(np.float32)
        slots = top(near, max(SHORTLIST, 2 * limit), allowed & (self._scales.data[:size] > 0), favoured)
        slots, scores = rank(slots, self.score(wanted, slots), limit, favoured)
        return slots, np.minimum(scores, np.float32(1))

    def _resize(self, size: int) -> None:
        for column in (self._bits, self._rows, self._scales):
            column.resize(size)
