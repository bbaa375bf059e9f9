"""Growing numpy columns and postings: the memory layout below the channels.

A card version lives in a slot, a row number that is never reused while the index runs; removing a card only clears
its slot's `alive` bit, so that removal costs nothing and searches skip it.
"""

from collections.abc import Callable

import numpy as np

CANDIDATE_SAMPLE = 64


class Column:
    """A one-dimensional array that grows by doubling. `data` is a view, valid until the next growth."""

    def __init__(self, dtype: type | str, fill: float = 0, capacity: int = 8) -> None:
        self._fill = fill
        self._buffer = np.full(capacity, fill, dtype=dtype)
        self.size = 0

    @property
    def data(self) -> np.ndarray:
        return self._buffer[: self.size]

    def append(self, value: float) -> None:
        self.resize(self.size + 1)
        self._buffer[self.size - 1] = value

    def resize(self, size: int) -> None:
        """Makes the column `size` long; new entries hold the fill value."""
        if size > len(self._buffer):
            grown = np.full(max(size, 2 * len(self._buffer)), self._fill, dtype=self._buffer.dtype)
            grown[: self.size] = self._buffer[: self.size]
            self._buffer = grown
        self.size = max(size, self.size)

    def __setitem__(self, index: int, value: float) -> None:
        self.resize(index + 1)
        self._buffer[index] = value

    def __getitem__(self, index: int | np.ndarray) -> np.ndarray:
        return self.data[index]


class PostingList:
    """Slots that contain one key, in ascending order, each with a weight."""

    __slots__ = ("count", "slots", "weights")

    def __init__(self) -> None:
        self.slots = Column(np.int32, capacity=2)
        self.weights = Column(np.float32, capacity=2)
        self.count = 0  # living slots, for document frequency

    def add(self, slot: int, weight: float) -> None:
        self.slots.append(slot)
        self.weights.append(weight)
        self.count += 1


class Postings:
    """An inverted index: key -> PostingList."""

    def __init__(self) -> None:
        self.lists: dict[str, PostingList] = {}

    def add(self, slot: int, weights: dict[str, float]) -> None:
        for key, weight in weights.items():
            posting = self.lists.get(key)
            if posting is None:
                posting = self.lists[key] = PostingList()
            posting.add(slot, weight)

    def remove(self, keys: dict[str, float]) -> None:
        """Forgets one living slot under each key; a key nobody uses any more is dropped with its tombstones."""
        for key in keys:
            posting = self.lists[key]
            posting.count -= 1
            if posting.count == 0:
                del self.lists[key]

    def frequency(self, key: str) -> int:
        posting = self.lists.get(key)
        return posting.count if posting is not None else 0


def top(scores: np.ndarray, limit: int, allowed: np.ndarray) -> np.ndarray:
    """Slots of the `limit` greatest positive scores among the allowed ones, best first, ties by slot."""
    slots = np.flatnonzero((scores > 0) & allowed[: len(scores)])
    if len(slots) > limit:
        # argpartition keeps an arbitrary choice among ties at the border; the cut by value keeps all of them.
        border = np.partition(scores[slots], len(slots) - limit)[len(slots) - limit]
        slots = slots[scores[slots] >= border]
    return slots[np.argsort(-scores[slots], kind="stable")][:limit]


def rarity(frequency: int, total: int) -> float:
    """1 for what a single card carries, falling towards 0 for what every card carries."""
    if total <= 1 or frequency <= 1:
        return 1.0
    return float(np.log(1 + total / frequency) / np.log(1 + total))


Allowed = np.ndarray
Progress = Callable[[int, int], None]
