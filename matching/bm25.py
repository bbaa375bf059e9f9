"""BM25 over a changing collection: 8-bit impact postings find, exact arithmetic on the few found ranks.

    score(d) = Σ_t w_t · idf_t · (k1 + 1) · f / (f + k1 · (1 − b + b · |d| / mean))

with idf_t = ln(1 + (N − n_t + ½) / (n_t + ½)), Lucene's form, which is positive for every term. A posting keeps
f / (f + …) in eight bits, reckoned with the mean length when the document came; the forward index keeps f itself, from
which the best candidates are scored again exactly, with the mean and the frequencies of this moment.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matching.kernels import accumulate
from matching.storage import Column, rank, top

SPARE = 100
"""Candidates scored again beyond those asked for: more than 8-bit rounding shuffles."""
DRIFT = 0.1
"""Change of the mean length beyond which the impacts are reckoned anew."""

Weights = dict[str, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """A query made ready: ids of the terms some document has, what each adds at most, and the sum with all terms."""

    terms: np.ndarray
    weights: np.ndarray
    ceiling: float


class Bm25:
    """Documents are slots with term frequencies (weighted, so not necessarily whole numbers)."""

    def __init__(self, k1: float = 1.2, b: float = 0.75) -> None:
        self.k1, self.b = k1, b
        self.count = 0
        self._terms: dict[str, int] = {}
        self._names: list[str] = []
        self._frequency = Column(np.int32)  # living documents with the term
        self._slots: list[Column] = []
        self._impacts: list[Column] = []
        self._begin, self._end = Column(np.int64), Column(np.int64)
        self._lengths = Column(np.float32)
        self._forward_terms, self._forward_values = Column(np.int32), Column(np.float16)
        self._total_length = 0.0
        self._quantised_mean = 1.0
        self._scratch = np.zeros(0, dtype=np.float32)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_scratch": np.zeros(0, dtype=np.float32)}

    def add(self, slot: int, frequencies: Weights) -> None:
        """Takes in a document under a slot greater than all before it."""
        ids = np.fromiter((self._id(term) for term in frequencies), np.int32, len(frequencies))
        values = np.fromiter(frequencies.values(), np.float32, len(frequencies))
        self._begin[slot] = self._forward_terms.size
        self._forward_terms.extend(ids)
        self._forward_values.extend(values)
        self._end[slot] = self._forward_terms.size
        self._lengths[slot] = length = float(values.sum())
        self._total_length += length
        self.count += 1
        if self.count & (self.count - 1) == 0:
            self._follow_mean(slot)
        impacts = self._impact(values, length)
        for term, impact in zip(ids.tolist(), impacts.tolist(), strict=True):
            self._slots[term].append(slot)
            self._impacts[term].append(impact)
            self._frequency[term] += 1

    def remove(self, slot: int) -> None:
        """Forgets a document. Its postings stay until half of a list is dead."""
        terms = self._own_terms(slot)
        self._frequency.data[terms] -= 1
        self._total_length -= float(self._lengths[slot])
        self._lengths[slot] = 0
        self._end[slot] = self._begin[slot]
        self.count -= 1
        for term in terms.tolist():
            if self._slots[term].size > 2 * int(self._frequency[term]) + 8:
                self._sweep(term)

    @property
    def terms(self) -> Sequence[str]:
        """Every term a document ever had, in order of appearance; those out of use have frequency 0."""
        return self._names

    def frequency(self, term: str) -> int:
        """Number of documents that contain the term."""
        number = self._terms.get(term)
        return 0 if number is None else int(self._frequency[number])

    def idf(self, term: str) -> float:
        frequency = self.frequency(term)
        return math.log(1 + (self.count - frequency + 0.5) / (frequency + 0.5))

    def ask(self, weights: Weights) -> Asked:
        """Makes a query ready for the other methods; it holds until the next change of the collection.

        Terms that no document has count for the ceiling too: it is what a document with every term could reach.
        """
        numbers = [self._terms.get(term, -1) for term in weights]
        full = np.array([weight * self.idf(term) for term, weight in weights.items()]) * (self.k1 + 1)
        terms = np.array(numbers, dtype=np.int32)
        known = terms >= 0
        return Asked(terms[known], full[known].astype(np.float32), float(full.sum()))

    def search(
        self, asked: Asked, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slots and exact scores of the best documents among the allowed, best first; for `favoured` see `top`."""
        size = self._lengths.size
        if len(self._scratch) < size:
            self._scratch = np.zeros(size + size // 4, dtype=np.float32)
        scores = self._scratch[:size]
        scores[:] = 0
        for term, weight in zip(asked.terms.tolist(), asked.weights / 255, strict=True):
            accumulate(scores, self._slots[term].data, self._impacts[term].data, weight)
        slots = top(scores, limit + SPARE, allowed[:size], favoured)
        return rank(slots, self.score(asked, slots), limit, favoured)

    def score(self, asked: Asked, slots: np.ndarray) -> np.ndarray:
        """Exact float32 scores of the given slots; 0 for removed ones."""
        counts = self._end[slots] - self._begin[slots]
        total = int(counts.sum())
        if total == 0:
            return np.zeros(len(slots), dtype=np.float32)
        owner = np.repeat(np.arange(len(slots)), counts)
        first = np.cumsum(counts) - counts
        where = np.arange(total) - first[owner] + self._begin[slots][owner]
        parts = self._table(asked)[self._forward_terms[where]]
        values = self._forward_values[where].astype(np.float32)
        parts *= values / (values + self._norms(self._lengths[slots])[owner])
        return np.bincount(owner, parts, len(slots)).astype(np.float32)

    def parts(self, asked: Asked, slot: int) -> list[tuple[str, float]]:
        """What each shared term adds to the score of a slot."""
        own = self._own_terms(slot)
        values = self._forward_values[self._begin[slot] : self._end[slot]].astype(np.float32)
        shares = self._table(asked)[own] * values / (values + self._norms(self._lengths[slot]))
        return [(self._names[term], float(share)) for term, share in zip(own, shares, strict=True) if share > 0]

    def document(self, slot: int) -> dict[str, float]:
        """Term frequencies of a document as they were added, rounded to sixteen bits."""
        values = self._forward_values[self._begin[slot] : self._end[slot]].tolist()
        return {self._names[term]: value for term, value in zip(self._own_terms(slot).tolist(), values, strict=True)}

    def _table(self, asked: Asked) -> np.ndarray:
        """Weight by term id, 0 for terms not asked for."""
        table = np.zeros(len(self._names), dtype=np.float32)
        table[asked.terms] = asked.weights
        return table

    def _id(self, term: str) -> int:
        number = self._terms.get(term)
        if number is None:
            number = self._terms[term] = len(self._names)
            self._names.append(term)
            self._frequency.append(0)
            self._slots.append(Column(np.int32))
            self._impacts.append(Column(np.uint8))
        return number

    def _own_terms(self, slot: int) -> np.ndarray:
        return self._forward_terms[self._begin[slot] : self._end[slot]]

    def _norms(self, lengths: np.ndarray) -> np.ndarray:
        mean = max(self._total_length / max(1, self.count), 1e-6)
        return np.float32(self.k1) * (np.float32(1 - self.b) + np.float32(self.b / mean) * lengths)

    def _impact(self, values: np.ndarray, length: float | np.ndarray) -> np.ndarray:
        norm = self.k1 * (1 - self.b + self.b * length / self._quantised_mean)
        return np.maximum(1, np.rint(255 * values / (values + norm))).astype(np.uint8)

    def _follow_mean(self, last: int) -> None:
        """Reckons all impacts anew if the mean length has drifted. Asked at every doubling, so it costs little."""
        mean = max(self._total_length / self.count, 1e-6)
        if abs(mean / self._quantised_mean - 1) <= DRIFT:
            return
        self._quantised_mean = mean
        cursor = np.zeros(len(self._names), dtype=np.int64)
        for slot in range(last):
            span = slice(int(self._begin[slot]), int(self._end[slot]))
            impacts = self._impact(self._forward_values.data[span].astype(np.float32), float(self._lengths[slot]))
            for term, impact in zip(self._forward_terms.data[span].tolist(), impacts.tolist(), strict=True):
                slots = self._slots[term].data
                while slots[cursor[term]] < slot:  # dead documents keep their old impact
                    cursor[term] += 1
                self._impacts[term].data[cursor[term]] = impact

    def _sweep(self, term: int) -> None:
        """Drops dead slots from one posting list."""
        slots = self._slots[term].data
        alive = self._end[slots] > self._begin[slots]
        impacts = self._impacts[term].data[alive]
        self._slots[term].replace(slots[alive])
        self._impacts[term].replace(impacts)
