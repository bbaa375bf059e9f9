"""Cosine search over a changing set of unit vectors: sign bits find, int8 rows rank.

A vector takes one bit and one byte per dimension. The Hamming distance of sign bits orders roughly (it estimates the
angle); the nearest few hundred are scored again from their int8 rows, which is exact to about 0.005.
"""

from collections.abc import Iterator
from concurrent.futures import Executor, Future
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

    def scan(self, wanted: np.ndarray, allowed: np.ndarray) -> "Scan":
        """A look at all vectors, not yet begun. One at a time; nothing may change until it is finished."""
        size = len(allowed)
        self._scales.resize(size)
        if len(self._distances) < size:
            self._distances = np.empty(size + BLOCK, dtype=np.uint16)
        return Scan(wanted, self._bits, allowed, self._scales.data, self._distances[:size])

    def search(
        self, wanted: np.ndarray, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slots and positive cosines of the nearest among the allowed, nearest first; for `favoured` see `rank`."""
        return self.nearest(self.scan(wanted, allowed), limit, favoured)

    def nearest(self, scan: "Scan", limit: int, favoured: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """As `search`, of a scan that other threads may have begun."""
        distances, counts = scan.finish()
        wished = max(SHORTLIST, 2 * limit)
        slots = np.flatnonzero(distances <= min(int(np.searchsorted(np.cumsum(counts), wished)), self.dimension))
        if favoured is not None and len(favoured):
            near = distances[favoured]
            order = np.argsort(near, kind="stable")[:wished]
            slots = distinct(np.concatenate((slots, favoured[order[near[order] < UNUSABLE]])))
        slots, scores = rank(slots, self.score(scan.wanted, slots), limit, favoured)
        return slots, np.minimum(scores, np.float32(1))


class Scan:
    """Hamming distances of a vector's signs to those of all stored ones, worked out block by block.

    Several threads may `work` at it: each takes the next block until none is left.
    """

    def __init__(
        self,
        wanted: np.ndarray,
        blocks: list[np.ndarray | None],
        allowed: np.ndarray,
        scales: np.ndarray,
        distances: np.ndarray,
    ) -> None:
        self.wanted = wanted
        self._signs = np.packbits(wanted > 0).view(np.uint64)
        self._blocks, self._allowed, self._scales, self._distances = blocks, allowed, scales, distances
        self._left = list(range((len(distances) + BLOCK - 1) // BLOCK))
        self._counts: list[np.ndarray] = []
        self._helpers: list[Future[None]] = []

    def work(self) -> None:
        """Takes part until no block is left."""
        counts = np.zeros(64 * len(self._signs) + 1, dtype=np.int64)
        while True:
            try:
                block = self._left.pop()
            except IndexError:
                break
            span = slice(block * BLOCK, min(len(self._distances), (block + 1) * BLOCK))
            bits = self._blocks[block] if block < len(self._blocks) else None
            if bits is None:
                self._distances[span] = UNUSABLE
                continue
            bits = bits[: span.stop - span.start]
            hamming(bits, self._signs, self._allowed[span], self._scales[span], self._distances[span], counts)
        self._counts.append(counts)

    def share(self, threads: Executor) -> None:
        """Lets another thread begin."""
        self._helpers.append(threads.submit(self.work))

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances by slot, and how many there are of each, once all is done. Raises what a helper raised."""
        self.work()
        for helper in self._helpers:
            helper.result()
        return self._distances, np.sum(self._counts, axis=0)
