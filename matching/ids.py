"""Card ids and their slots: a hash table in two arrays, a third of what a dictionary of strings and integers takes."""

import numpy as np

from matching.storage import Column

FREE, GONE = -1, -2
FIRST, SECOND, WORD = 0x9E3779B97F4A7C15, 0xC4CEB9FE1A85EC53, (1 << 64) - 1
SPARSE = 0.6
"""Share of the table that may be in use; beyond, chains grow long."""


class CardIds:
    """A mapping of ids to slots and back. Ids are never empty and hold no NUL character."""

    def __init__(self) -> None:
        self._table = np.full(64, FREE, dtype=np.int32)
        self._names = Column("S24", fill=b"")
        self._used = self.count = 0

    def __len__(self) -> int:
        return self.count

    def put(self, card_id: str, slot: int) -> None:
        """Gives a slot without an id to an id without a slot."""
        name = card_id.encode()
        if not name or b"\0" in name:
            raise ValueError(f"not a card id: {card_id!r}")
        if len(name) > self._names.data.dtype.itemsize:
            self._names = self._names.wider(f"S{(len(name) + 15) // 8 * 8}")
        self._names[slot] = name
        self.count += 1
        self._used += 1
        if self._used > SPARSE * len(self._table):
            self._rebuild()
        else:
            self._insert(name, slot)

    def pop(self, card_id: str) -> int | None:
        """Takes the id out and returns the slot it had."""
        place = self._place(card_id.encode())
        if place is None:
            return None
        slot = int(self._table[place])
        self._table[place] = GONE
        self._names[slot] = b""
        self.count -= 1
        return slot

    def slot(self, card_id: str) -> int | None:
        place = self._place(card_id.encode())
        return None if place is None else int(self._table[place])

    def at(self, slots: np.ndarray) -> list[str]:
        """Ids by slot, "" for slots without one."""
        names = self._names[slots].tolist()
        return b"\0".join(names).decode().split("\0") if names else []

    def slots(self) -> np.ndarray:
        """All slots with an id, ascending."""
        return np.flatnonzero(self._names.data != b"")

    def _place(self, name: bytes) -> int | None:
        table, names, mask = self._table, self._names.data, len(self._table) - 1
        place = _hash(name) & mask
        while (slot := int(table[place])) != FREE:
            if slot >= 0 and names[slot] == name:
                return place
            place = (place + 1) & mask
        return None

    def _insert(self, name: bytes, slot: int) -> None:
        table, mask = self._table, len(self._table) - 1
        place = _hash(name) & mask
        while table[place] >= 0:
            place = (place + 1) & mask
        if table[place] == GONE:
            self._used -= 1
        table[place] = slot

    def _rebuild(self) -> None:
        """A table with room for twice as many, without the marks of those that have gone."""
        size = 64
        while size * SPARSE < 1.5 * self.count:
            size *= 2
        self._table = np.full(size, FREE, dtype=np.int32)
        self._used = self.count
        slots = self.slots().astype(np.int32)
        places = (_hashes(self._names.data[slots]) & np.uint64(size - 1)).astype(np.int64)
        while len(slots):  # all at once; who meets another there goes on to the next place
            free = self._table[places] == FREE
            self._table[places[free]] = slots[free]
            left = self._table[places] != slots
            slots, places = slots[left], (places[left] + 1) & (size - 1)


def _hash(name: bytes) -> int:
    """As `_hashes`, of one name. The same in every process, so that a table can be kept in a file."""
    mixed = 0
    for i in range(0, len(name), 8):
        word = int.from_bytes(name[i : i + 8], "little") * (FIRST + 2 * i) & WORD
        word = (word ^ word >> 33) * SECOND & WORD
        mixed ^= word ^ word >> 29
    return (mixed * FIRST & WORD) >> 32


def _hashes(names: np.ndarray) -> np.ndarray:
    """Words of eight bytes, each times a factor of its own, well stirred; those of the padding count nothing."""
    words = np.ascontiguousarray(names).view("<u8").reshape(len(names), -1)
    mixed = np.zeros(len(names), dtype=np.uint64)
    for i in range(words.shape[1]):
        word = words[:, i] * np.uint64(FIRST + 16 * i)
        word = (word ^ word >> np.uint64(33)) * np.uint64(SECOND)
        mixed ^= word ^ word >> np.uint64(29)
    return (mixed * np.uint64(FIRST)) >> np.uint64(32)
