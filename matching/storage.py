"""Growing numpy columns, blocks of slots and the choice of the best: the memory layout below the channels.

A card version lives in a slot; removing a card only clears its slot's `alive` bit, so that removal costs nothing and
searches skip it. Slots form blocks that are filled in order and given back as a whole (`matching.slots`).
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

Progress = Callable[[int, int], None]

BLOCK = 1 << 15
"""Slots of a block: scores of so many documents stay in a core's cache, and places in it take sixteen bits."""


class Column:
    """An array whose first axis grows, by a quarter or a block at a time. `data` is a view of what is there now.

    Growing copies, so an older view keeps what it showed.
    """

    __slots__ = ("_buffer", "_fill", "size")

    def __init__(self, dtype: type | str, fill: float = 0, width: int | None = None) -> None:
        self._fill = fill
        self._buffer = np.full((0,) if width is None else (0, width), fill, dtype=dtype)
        self.size = 0

    @property
    def data(self) -> np.ndarray:
        return self._buffer[: self.size]

    @property
    def buffer(self) -> np.ndarray:
        """The array behind `data`, room for growth included."""
        return self._buffer

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
            room = min(len(self._buffer) * 5 // 4 + 4, len(self._buffer) + BLOCK)
            shape = (max(size, room), *self._buffer.shape[1:])
            grown = np.full(shape, self._fill, dtype=self._buffer.dtype)
            grown[: self.size] = self._buffer[: self.size]
            self._buffer = grown
        self.size = max(size, self.size)

    def wider(self, dtype: type) -> "Column":
        """The same values in another type."""
        column = Column(dtype, self._fill)
        column.replace(self.data)
        return column

    def __setitem__(self, index: int, value: float | np.ndarray) -> None:
        self.resize(index + 1)
        self._buffer[index] = value

    def __getitem__(self, index: int | np.ndarray) -> np.ndarray:
        return self.data[index]


def rank(
    slots: np.ndarray, scores: np.ndarray, limit: int, favoured: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Positive scores and their slots, best first, ties by slot: the `limit` best, and the `limit` best favoured."""
    order = np.lexsort((slots, -scores))
    order = order[scores[order] > 0]
    keep = np.arange(len(order)) < limit
    if favoured is not None and len(favoured):
        _, inside = places_of(slots[order], favoured)
        keep |= inside & (np.cumsum(inside) <= limit)
    return slots[order[keep]], scores[order[keep]]


def distinct(slots: np.ndarray) -> np.ndarray:
    """Slots ascending, each once. For some hundreds a third of what numpy's own `unique` takes."""
    ordered = np.sort(slots)
    return ordered[firsts(ordered)]


def firsts(ordered: np.ndarray) -> np.ndarray:
    """Whether each of these ascending values is the first of its equals."""
    first = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


def places_of(values: np.ndarray, ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the values stand among ascending ones, of which there must be some, and whether they stand there at all."""
    places = ordered.searchsorted(values).clip(max=len(ordered) - 1)
    return places, ordered[places] == values


def by_block(slots: np.ndarray) -> Iterator[tuple[int, np.ndarray | slice, np.ndarray]]:
    """Per block: its number, the positions in `slots` of those that lie in it, and their places there as int64."""
    if not len(slots):
        return
    slots = slots.astype(np.int64)
    block = int(slots[0]) // BLOCK
    if len(slots) == 1 or int(slots.min()) // BLOCK == int(slots.max()) // BLOCK:
        yield block, slice(None), slots - block * BLOCK
        return
    order = np.argsort(slots, kind="stable") if (slots[1:] < slots[:-1]).any() else np.arange(len(slots))
    blocks, places = np.divmod(slots[order], BLOCK)
    borders = [0, *(np.flatnonzero(blocks[1:] != blocks[:-1]) + 1).tolist(), len(slots)]
    for begin, end in pairwise(borders):
        yield int(blocks[begin]), order[begin:end], places[begin:end]


def rarity(frequency: int, total: int) -> float:
    """1 for what a single card carries, falling towards 0 for what every card carries."""
    if total <= 1 or frequency <= 1:
        return 1.0
    return float(np.log(1 + total / frequency) / np.log(1 + total))


class Interned:
    """What many slots have in common, kept once and for as long as a slot refers to its key."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}  # key -> number, from 1
        self._made: list[Any] = [None]
        self._users, self._unused = [0], list[int]()
        self._by_slot = Column(np.int32)
        self._count = 0

    def __len__(self) -> int:
        """Number of slots that refer to something."""
        return self._count

    def put(self, slot: int, key: Any, make: Callable[[Any], Any]) -> Any:
        """Lets a slot that refers to nothing refer to what `make` makes of the key, and returns that."""
        number = self._numbers.get(key)
        if number is None:
            if not self._unused:
                self._unused.append(len(self._made))
                self._made.append(None)
                self._users.append(0)
            number = self._numbers[key] = self._unused.pop()
            self._made[number] = (key, make(key))
        self._by_slot[slot] = number
        self._users[number] += 1
        self._count += 1
        return self._made[number][1]

    def pop(self, slot: int) -> Any:
        """Lets the slot refer to nothing; returns what it had, None for nothing."""
        number = self._number(slot)
        if not number:
            return None
        key, made = self._made[number]
        self._by_slot[slot] = 0
        self._count -= 1
        self._users[number] -= 1
        if not self._users[number]:
            del self._numbers[key]
            self._made[number] = None
            self._unused.append(number)
        return made

    def get(self, slot: int) -> Any:
        number = self._number(slot)
        return self._made[number][1] if number else None

    def at(self, slots: np.ndarray) -> list[tuple[int, Any]]:
        """Position in `slots` and what is there, for those that refer to something."""
        self._by_slot.resize(int(slots.max(initial=-1)) + 1)
        numbers = self._by_slot[slots]
        where = np.flatnonzero(numbers)
        return [(i, self._made[n][1]) for i, n in zip(where.tolist(), numbers[where].tolist(), strict=True)]

    def _number(self, slot: int) -> int:
        return int(self._by_slot[slot]) if slot < self._by_slot.size else 0


class Postings:
    """An inverted index without weights: key -> ascending slots."""

    def __init__(self) -> None:
        self.lists: dict[str, Column] = {}

    def __getstate__(self) -> dict[str, Any]:
        """One array instead of thousands: a snapshot holds up changes for as long as this takes."""
        lists = [slots.data for slots in self.lists.values()]
        every = np.concatenate(lists) if lists else np.empty(0, dtype=np.int32)
        return {"keys": list(self.lists), "sizes": np.array([len(slots) for slots in lists], np.int64), "slots": every}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.lists = {key: Column(np.int32) for key in state["keys"]}
        ends = np.cumsum(state["sizes"])
        for column, begin, end in zip(self.lists.values(), ends - state["sizes"], ends, strict=True):
            column.replace(state["slots"][begin:end])

    def add(self, slot: int, keys: Iterable[str]) -> None:
        """Adds a slot under each key."""
        for key in keys:
            slots = self.lists.setdefault(key, Column(np.int32))
            if slots.size and slot < slots.data[-1]:
                slots.replace(np.insert(slots.data, np.searchsorted(slots.data, slot), slot))
            else:
                slots.append(slot)

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
