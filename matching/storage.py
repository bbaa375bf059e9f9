"""Growing numpy columns and the choice of the best: the memory layout below the channels.

A card version lives in a slot, a row number that is never reused while the index runs; removing a card only clears
its slot's `alive` bit, so that removal costs nothing and searches skip it.
"""

from collections.abc import Callable, Iterable

import numpy as np

Progress = Callable[[int, int], None]

SAMPLE = 1 << 12
"""Scores looked at to guess where the best begin."""


class Column:
    """An array whose first axis grows by a quarter at a time. `data` is a view, valid until the next growth."""

    __slots__ = ("_buffer", "_fill", "size")

    def __init__(self, dtype: type | str, fill: float = 0, width: int | None = None) -> None:
        self._fill = fill
        self._buffer = np.full((0,) if width is None else (0, width), fill, dtype=dtype)
        self.size = 0

    @property
    def data(self) -> np.ndarray:
        return self._buffer[: self.size]

    def append(self, value: float) -> None:
        size = self.size
        self.resize(size + 1)
        self._buffer[size] = value

    def extend(self, values: np.ndarray) -> None:
        size = self.size
        self.resize(size + len(values))
        self._buffer[size : self.size] = values

    def replace(self, values: np.ndarray) -> None:
        """Holds exactly these values from now on, without slack."""
        self._buffer = np.array(values, dtype=self._buffer.dtype)
        self.size = len(values)

    def resize(self, size: int) -> None:
        """Makes the column at least `size` long; new entries hold the fill value."""
        if size > len(self._buffer):
            shape = (max(size, len(self._buffer) * 5 // 4 + 4), *self._buffer.shape[1:])
            grown = np.full(shape, self._fill, dtype=self._buffer.dtype)
            grown[: self.size] = self._buffer[: self.size]
            self._buffer = grown
        self.size = max(size, self.size)

    def __setitem__(self, index: int, value: float | np.ndarray) -> None:
        self.resize(index + 1)
        self._buffer[index] = value

    def __getitem__(self, index: int | np.ndarray) -> np.ndarray:
        return self.data[index]


def top(scores: np.ndarray, limit: int, allowed: np.ndarray, favoured: np.ndarray | None = None) -> np.ndarray:
    """Slots of the `limit` greatest positive scores among the allowed ones, best first, ties by slot.

    With `favoured`, ascending slots, the `limit` best of those are added to the result, so that a small group is
    looked into as deeply as everything else.
    """
    slots = np.flatnonzero(scores >= _guess(scores, limit))
    slots = slots[allowed[slots]]
    if len(slots) < limit:
        slots = np.flatnonzero(scores > 0)
        slots = slots[allowed[slots]]
    slots = _best(scores, slots, limit)
    if favoured is not None:
        extra = favoured[(scores[favoured] > 0) & allowed[favoured]]
        slots = np.union1d(slots, _best(scores, extra, limit))
    return slots[np.lexsort((slots, -scores[slots]))].astype(np.int32)


def rank(
    slots: np.ndarray, scores: np.ndarray, limit: int, favoured: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Positive scores and their slots, best first, ties by slot: the `limit` best, and the `limit` best favoured."""
    order = np.lexsort((slots, -scores))
    order = order[scores[order] > 0]
    keep = np.arange(len(order)) < limit
    if favoured is not None and len(favoured):
        inside = favoured[np.searchsorted(favoured, slots[order]).clip(max=len(favoured) - 1)] == slots[order]
        keep |= inside & (np.cumsum(inside) <= limit)
    return slots[order[keep]], scores[order[keep]]


def _best(scores: np.ndarray, slots: np.ndarray, limit: int) -> np.ndarray:
    if len(slots) <= limit:
        return slots
    # argpartition keeps an arbitrary choice among ties at the border; by value and slot the choice is the same always.
    border = np.partition(scores[slots], len(slots) - limit)[len(slots) - limit]
    above, ties = slots[scores[slots] > border], slots[scores[slots] == border]
    return np.concatenate([above, ties[: limit - len(above)]])


def _guess(scores: np.ndarray, limit: int) -> float:
    """A score that about four times `limit` slots reach, from an even sample; any positive score for short arrays."""
    stride = len(scores) // SAMPLE
    least = np.nextafter(np.float32(0), np.float32(1))
    if stride < 2:
        return least
    sample = scores[::stride]
    place = max(8, 4 * limit // stride)
    return max(np.partition(sample, len(sample) - place)[len(sample) - place], least)


def rarity(frequency: int, total: int) -> float:
    """1 for what a single card carries, falling towards 0 for what every card carries."""
    if total <= 1 or frequency <= 1:
        return 1.0
    return float(np.log(1 + total / frequency) / np.log(1 + total))


class Postings:
    """An inverted index without weights: key -> ascending slots."""

    def __init__(self) -> None:
        self.lists: dict[str, Column] = {}

    def add(self, slot: int, keys: Iterable[str]) -> None:
        """Adds a slot greater than all before it under each key."""
        for key in keys:
            if key not in self.lists:
                self.lists[key] = Column(np.int32)
            self.lists[key].append(slot)

    def remove(self, slot: int, keys: Iterable[str]) -> None:
        """Takes the slot out again; a key nobody uses any more is forgotten."""
        for key in keys:
            slots = self.lists[key]
            if slots.size == 1:
                del self.lists[key]
            else:
                slots.replace(np.delete(slots.data, np.searchsorted(slots.data, slot)))

    def slots(self, key: str) -> np.ndarray:
        return self.lists[key].data if key in self.lists else np.empty(0, dtype=np.int32)

    def frequency(self, key: str) -> int:
        return self.lists[key].size if key in self.lists else 0
