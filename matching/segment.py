"""One block of documents for BM25: what each holds, and which documents hold a term.

Documents come one after the other. Each is kept as its terms and frequencies (forward) and, as soon as enough have
gathered, as postings of sixteen-bit places and seven-bit impacts (inverted), in runs that double in size until one run
holds the whole block. The few that came last are scored as they are. Terms have a number of their own in every block,
so that sixteen bits do. Everything but `lengths` is only ever added to: a copy of what is there stays true.

Some terms of a document are marked, and may be counted instead of weighed: the mark is the sign of a frequency and the
lowest bit of a posting's byte, which take no room of their own. A `Measure` says which of the two is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from matching.kernels import exact, group, lookup, sweep
from matching.storage import BLOCK, Column

TAIL = 512
"""Documents scored one by one before they become postings."""
DRIFT = 0.1
"""Change of the mean length beyond which impacts bound too loosely and are reckoned anew."""
LEVELS = 127
"""Steps in which impacts are kept, the highest of which is the whole weight."""
LEAST = 1e-30
"""What counts as nothing but is not 0, which as a length stands for a removed document."""

_NONE, _NO_PLACES, _NO_IMPACTS = (np.empty(0, dtype=dtype) for dtype in (np.int32, np.uint16, np.uint8))
_VALUES, _IMPACTS = np.arange(1 << 16, dtype=np.uint16), np.arange(1 << 8, dtype=np.uint8)
_FREQUENCIES = np.abs(_VALUES.view(np.float16)).astype(np.float32)
_SHARES = (_IMPACTS >> 1) / np.float32(LEVELS)


class Measure(NamedTuple):
    """How documents are scored: Σ weight · f / (f + base + slope · length) over the terms asked for.

    f is `value_of` the sixteen bits kept with a term (float32, 65,536 of them); `share_of` (float32, 256) is what a
    posting's byte says f / (f + ...) is at most. `mean` is the mean length, 0 where length does not matter.
    """

    base: float
    slope: float
    mean: float
    value_of: np.ndarray
    share_of: np.ndarray

    @classmethod
    def bm25(cls, k1: float, b: float, mean: float) -> "Measure":
        return cls(k1 * (1 - b), k1 * b / mean, mean, _FREQUENCIES, _SHARES)


MARKS = Measure(LEAST, 0.0, 0.0, (_VALUES >> 15).astype(np.float32), (_IMPACTS & 1).astype(np.float32))
"""The sum of the weights of the terms that are marked."""


class Run(NamedTuple):
    """Postings of documents first..last-1: heads by own term number into places, with impacts rounded up.

    `mean` is the mean length that the impacts were reckoned with. Without heads the documents are scored as they are.
    """

    first: int
    last: int
    mean: float = 1.0
    heads: np.ndarray = _NONE
    places: np.ndarray = _NO_PLACES
    impacts: np.ndarray = _NO_IMPACTS


class Scratch:
    """Arrays used again by every search: bounds of a block's documents, and weights by own term, 0 in between."""

    def __init__(self) -> None:
        self.bounds = np.zeros(BLOCK, dtype=np.uint16)
        self._weights = np.zeros(1 << 12, dtype=np.float32)

    def table(self, size: int) -> np.ndarray:
        if size > len(self._weights):
            self._weights = np.zeros(2 * size, dtype=np.float32)
        return self._weights


class Search:
    """What is sought, and what has been found so far: the best of all documents, and the best of a group."""

    def __init__(self, limit: int, measure: Measure, scratch: Scratch) -> None:
        self.measure, self.scratch = measure, scratch
        self.best, self.slots = np.zeros(limit, dtype=np.float32), np.zeros(limit, dtype=np.int64)
        self.group, self.group_slots = self.best.copy(), self.slots.copy()
        self.counts = np.zeros(2, dtype=np.int64)

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """Slots and their scores, each slot once."""
        both, few = self.counts.tolist()
        if not few:
            return self.slots[:both], self.best[:both]
        slots = np.concatenate([self.slots[:both], self.group_slots[:few]])
        slots, first = np.unique(slots, return_index=True)
        return slots, np.concatenate([self.best[:both], self.group[:few]])[first]


@dataclass(slots=True)
class Segment:
    """`values` are frequencies as float16, the sign of which is the mark."""

    size: int = 0
    lengths: np.ndarray = field(default_factory=lambda: np.zeros(BLOCK, dtype=np.float32))
    starts: np.ndarray = field(default_factory=lambda: np.zeros(BLOCK + 1, dtype=np.int32))
    terms: Column = field(default_factory=lambda: Column(np.uint16))
    values: Column = field(default_factory=lambda: Column(np.uint16))
    names: Column = field(default_factory=lambda: Column(np.int32))  # own number -> the engine's
    numbers: dict[int, int] | None = field(default_factory=dict)  # the engine's -> own; None once names are sorted
    runs: list[Run] = field(default_factory=list)

    def add(self, place: int, names: np.ndarray, values: np.ndarray, length: float) -> None:
        """Takes in a document at a place behind all others; `values` of marked terms are negative, or -0."""
        if self.numbers is None:
            raise ValueError("the block is full")
        numbers = self.numbers
        for name in names.tolist():
            if name not in numbers:
                numbers[name] = len(numbers)
                self.names.append(name)
        if len(numbers) > 0xFFFF and self.terms.data.dtype == np.uint16:
            self.terms = self.terms.wider(np.int32)
        self.starts[self.size : place + 1] = self.terms.size
        self.terms.extend(np.array([numbers[name] for name in names.tolist()], dtype=self.terms.data.dtype))
        self.values.extend(values.astype(np.float16).view(np.uint16))
        self.starts[place + 1] = self.terms.size
        self.lengths[place] = max(length, LEAST)
        self.size = place + 1

    def remove(self, place: int) -> None:
        """The document scores nothing from now on."""
        self.lengths[place] = 0

    def document(self, place: int, measure: Measure) -> tuple[np.ndarray, np.ndarray]:
        """The engine's numbers of a document's terms that the measure counts, and their values by it."""
        if self.lengths[place] <= 0:
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        span = slice(int(self.starts[place]), int(self.starts[place + 1]))
        values = measure.value_of[self.values.data[span]]
        counted = values > 0
        return self.names.data[self.terms.data[span][counted]], values[counted]

    def settled(self) -> Iterator[np.ndarray]:
        """Arrays of which nothing that is in use ever changes."""
        yield from (self.terms.buffer, self.values.buffer, self.names.buffer)
        for run in self.runs:
            yield from (run.heads, run.places, run.impacts)

    def find(self, names: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Own numbers of those of the engine's terms that some document here has had, and their weights."""
        if self.numbers is not None:
            numbers = np.array([self.numbers.get(name, -1) for name in names.tolist()], dtype=np.int32)
            return numbers[numbers >= 0], weights[numbers >= 0]
        numbers, found = np.empty(len(names), dtype=np.int32), np.empty(len(names), dtype=np.float32)
        count = lookup(self.names.data, names, weights, numbers, found)
        return numbers[:count], found[:count]

    def settle(self, measure: Measure) -> None:
        """Turns what has gathered into postings, and older runs whose impacts no longer fit, one at a time."""
        behind = self.runs[-1].last if self.runs else 0
        if self.size == BLOCK and self.numbers is not None:
            self._sort_names()
            self.runs = [self._run(0, BLOCK, measure)]
        elif self.size - behind >= TAIL:
            first = behind
            while self.runs and self.runs[-1].last - self.runs[-1].first <= self.size - first:
                first = self.runs.pop().first
            self.runs.append(self._run(first, self.size, measure))
        else:
            for i, run in enumerate(self.runs):
                if abs(measure.mean / run.mean - 1) > DRIFT:
                    self.runs[i] = self._run(run.first, run.last, measure)
                    return

    def search(
        self,
        sought: Search,
        numbers: np.ndarray,
        weights: np.ndarray,
        block: int,
        allowed: np.ndarray,
        only: np.ndarray,
    ) -> None:
        """Adds the best of this block's documents, by own term numbers and weights, to what has been found."""
        if not len(numbers):
            return
        measure = sought.measure
        documents = self._documents(sought.scratch.table(self.names.size), measure)
        behind = self.runs[-1].last if self.runs else 0
        for run in (*self.runs, *([Run(behind, self.size)] if behind < self.size else [])):
            # A greater mean length lifts impacts, by its own growth at most.
            share = np.float32(max(1.0, measure.mean / run.mean))
            sweep(
                numbers, weights, run.first, run.last, run.heads, run.places, run.impacts, measure.share_of, share,
                sought.scratch.bounds, *documents, allowed, only, block * BLOCK,
                sought.best, sought.slots, sought.group, sought.group_slots, sought.counts,
            )  # fmt: skip

    def score(
        self, numbers: np.ndarray, weights: np.ndarray, places: np.ndarray, measure: Measure, scratch: Scratch
    ) -> np.ndarray:
        """Exact scores of documents, by own term numbers and weights."""
        out = np.zeros(len(places), dtype=np.float32)
        if len(numbers):
            table = scratch.table(self.names.size)
            table[numbers] = weights
            exact(out, places, *self._documents(table, measure))
            table[numbers] = 0
        return out

    def _documents(self, table: np.ndarray, measure: Measure) -> tuple[Any, ...]:
        """What the kernels need to score a document, the weights of own terms first."""
        return (
            table, self.starts, self.terms.data, self.values.data, self.lengths,
            np.float32(measure.base), np.float32(measure.slope), measure.value_of,
        )  # fmt: skip

    def _sort_names(self) -> None:
        """Renumbers the terms by the engine's numbers, so that `find` needs no dictionary any more."""
        order = np.argsort(self.names.data)
        own = np.empty(len(order), dtype=self.terms.data.dtype)
        own[order] = np.arange(len(order), dtype=own.dtype)
        terms, names = Column(own.dtype), Column(np.int32)
        terms.replace(own[self.terms.data])
        names.replace(self.names.data[order])
        self.values.replace(self.values.data)
        self.terms, self.names, self.numbers = terms, names, None

    def _run(self, first: int, last: int, measure: Measure) -> Run:
        span = slice(int(self.starts[first]), int(self.starts[last]))
        terms = np.ascontiguousarray(self.terms.data[span])
        starts = np.zeros(self.names.size + 1, dtype=np.int32)
        np.cumsum(np.bincount(terms, minlength=self.names.size), out=starts[1:])
        order = np.empty(len(terms), dtype=np.int64)
        group(terms, starts[:-1].copy(), order)
        places = np.repeat(np.arange(first, last, dtype=np.uint16), np.diff(self.starts[first : last + 1]))
        kept = self.values.data[span]
        values = measure.value_of[kept]
        norms = np.float32(measure.base) + np.float32(measure.slope) * self.lengths[places]
        levels = np.minimum(LEVELS, np.ceil(LEVELS * values / (values + norms))).astype(np.uint8)
        impacts = levels << 1 | (kept >> 15).astype(np.uint8)
        return Run(first, last, measure.mean, starts, places[order], impacts[order])
