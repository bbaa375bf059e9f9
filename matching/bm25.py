"""BM25 over a changing collection: 7-bit impact postings bound, exact arithmetic on the few that may be best ranks.

    score(d) = Σ_t w_t · idf_t · (k1 + 1) · f / (f + k1 · (1 − b + b · |d| / mean))

with idf_t = ln(1 + (N − n_t + ½) / (n_t + ½)), Lucene's form, which is positive for every term. Block by block the
postings add up to an upper bound of every document's score in an array that stays in the cache; documents whose bound
passes the least of the best so far are scored exactly, with the mean and the frequencies of this moment. So the best
are found for certain, and whatever has become of the collection since a posting was written.

Some terms of each document may be marked; the same postings then also tell how many of these it shares with a query.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from matching.segment import MARKS, Measure, Scratch, Search, Segment
from matching.storage import BLOCK, Column, by_block, rank

Weights = dict[str, float]
NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Asked:
    """A query made ready: ids of the terms some document has, what each adds at most, and the sum with all terms.

    With `marked`, terms add up where they are marked, by their weights alone.
    """

    terms: np.ndarray
    weights: np.ndarray
    ceiling: float
    marked: bool = False
    _own: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def own(self, block: int, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
        """A block's own numbers of the terms that it knows, and their weights."""
        if block not in self._own:
            self._own[block] = segment.find(self.terms, self.weights)
        return self._own[block]

    @cached_property
    def by_term(self) -> dict[int, float]:
        """Weights by term."""
        return dict(zip(self.terms.tolist(), self.weights.tolist(), strict=True))


class Bm25:
    """Documents are slots with term frequencies (weighted, so not necessarily whole numbers). k1 is above 0."""

    def __init__(self, k1: float = 1.2, b: float = 0.75) -> None:
        self.k1, self.b = k1, b
        self.count = 0
        self._terms: dict[str, int] = {}
        self._names: list[str] = []
        self._frequency = Column(np.int32)  # living documents with the term
        self._segments: list[Segment | None] = []
        self._total_length = 0.0
        self._checked = 0
        self._scratch = Scratch()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_scratch": None, "_terms": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._terms = {name: number for number, name in enumerate(self._names)}
        self._scratch = Scratch()

    def add(self, slot: int, frequencies: Weights, marked: Collection[str] = frozenset()) -> None:
        """Takes in a document, with frequencies above 0, under a slot behind all others of its block.

        Marked terms need not have a frequency. Without one they count as marks alone: BM25 does not see them.
        """
        known, others = len(frequencies), sorted(set(marked) - frequencies.keys())
        signed = [-value if term in marked else value for term, value in frequencies.items()]
        names = np.array([self._id(term) for term in (*frequencies, *others)], dtype=np.int32)
        values = np.array(signed + [-0.0] * len(others), dtype=np.float32)
        length = float(np.abs(values[:known]).sum())
        self._frequency.data[names[:known]] += 1
        self._total_length += length
        self.count += 1
        block, place = divmod(slot, BLOCK)
        self._segments.extend([None] * (block + 1 - len(self._segments)))
        segment = self._segments[block]
        if segment is None:
            segment = self._segments[block] = Segment()
        segment.add(place, names, values, length)
        segment.settle(self._measure)
        self._follow_mean()

    def remove(self, slot: int) -> None:
        """Forgets a document."""
        segment, place = self._at(slot)
        names, _ = segment.document(place, self._measure)
        self._frequency.data[names] -= 1
        self._total_length -= float(segment.lengths[place])
        self.count -= 1
        segment.remove(place)

    def release(self, block: int) -> None:
        """Gives back the memory of a block of slots whose documents have all been removed."""
        if block < len(self._segments):
            self._segments[block] = None

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
        terms = np.array([self._terms.get(term, -1) for term in weights], dtype=np.int32)
        known = terms >= 0
        frequencies = np.zeros(len(terms))
        frequencies[known] = self._frequency.data[terms[known]]
        idf = np.log(1 + (self.count - frequencies + 0.5) / (frequencies + 0.5))
        full = np.fromiter(weights.values(), float, len(weights)) * idf * (self.k1 + 1)
        used = known & (full > 0)
        return Asked(terms[used], full[used].astype(np.float32), float(full.sum()))

    def ask_marked(self, wanted: Collection[str]) -> Asked:
        """The same for a query whose score is the number of its terms, each there once, that are marked."""
        terms = np.array([self._terms[term] for term in wanted if term in self._terms], dtype=np.int32)
        return Asked(terms, np.ones(len(terms), dtype=np.float32), float(len(wanted)), marked=True)

    def search(
        self, asked: Asked, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slots and exact scores of the best documents among the allowed, best first, ties by slot.

        The `limit` best of `favoured`, ascending slots, are added to the `limit` best of all.
        """
        if limit <= 0 or not len(asked.terms):
            return NOTHING, NOTHING.astype(np.float32)
        sought = Search(limit, self._measure_of(asked), self._scratch)
        inside = {block: places for block, _, places in by_block(favoured)} if favoured is not None else {}
        for block, segment in enumerate(self._segments):
            if segment is not None:
                terms = asked.own(block, segment)
                segment.search(sought, *terms, block, allowed[block * BLOCK :], inside.get(block, NOTHING))
        return rank(*sought.found(), limit, favoured)

    def score(self, asked: Asked, slots: np.ndarray) -> np.ndarray:
        """Exact float32 scores of the given slots; 0 for removed ones."""
        out, measure = np.zeros(len(slots), dtype=np.float32), self._measure_of(asked)
        for block, where, places in by_block(slots):
            segment = self._segments[block] if block < len(self._segments) else None
            if segment is not None:
                out[where] = segment.score(*asked.own(block, segment), places, measure, self._scratch)
        return out

    def parts(self, asked: Asked, slot: int) -> list[tuple[str, float]]:
        """What each shared term adds to the score of a slot."""
        segment, place = self._at(slot)
        weights, measure = asked.by_term, self._measure_of(asked)
        names, values = segment.document(place, measure)
        own = measure.base + measure.slope * float(segment.lengths[place])
        return [
            (self._names[name], weights[name] * value / (value + own))
            for name, value in zip(names.tolist(), values.tolist(), strict=True)
            if weights.get(name)
        ]

    def document(self, slot: int) -> Weights:
        """Term frequencies of a document as they were added, rounded to sixteen bits."""
        segment, place = self._at(slot)
        names, values = segment.document(place, self._measure)
        return {self._names[name]: value for name, value in zip(names.tolist(), values.tolist(), strict=True)}

    def settled(self) -> Iterator[np.ndarray]:
        """Arrays of which nothing that is in use ever changes."""
        for segment in self._segments:
            if segment is not None:
                yield from segment.settled()

    @property
    def _measure(self) -> Measure:
        return Measure.bm25(self.k1, self.b, max(self._total_length / max(1, self.count), 1e-6))

    def _measure_of(self, asked: Asked) -> Measure:
        return MARKS if asked.marked else self._measure

    def _at(self, slot: int) -> tuple[Segment, int]:
        segment = self._segments[slot // BLOCK]
        if segment is None:
            raise LookupError(f"no document in slot {slot}")
        return segment, slot % BLOCK

    def _id(self, term: str) -> int:
        number = self._terms.get(term)
        if number is None:
            number = self._terms[term] = len(self._names)
            self._names.append(term)
            self._frequency.append(0)
        return number

    def _follow_mean(self) -> None:
        """Looks at one block per added document: impacts that bound too loosely are reckoned anew, without a pause."""
        self._checked = (self._checked + 1) % len(self._segments)
        segment = self._segments[self._checked]
        if segment is not None:
            segment.settle(self._measure)
