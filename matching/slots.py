"""Which slots are in use: blocks of slots are filled in order, thinned out by removals, and used again as a whole.

A card that changes takes a new slot, so that nothing has to be inserted anywhere. Blocks that lose most of their cards
are emptied by moving the rest, a few with every change; memory follows the number of cards, not that of changes.
"""

import numpy as np

from matching.storage import BLOCK

SPARSE = BLOCK // 2
"""Cards below which a block that has been filled is emptied."""


class Slots:
    def __init__(self) -> None:
        self._living: list[int] = []  # cards by block
        self._empty: list[int] = []  # blocks to be filled again
        self._open, self._next = -1, BLOCK

    def take(self) -> int:
        """A slot behind all others of its block."""
        if self._next == BLOCK:
            if not self._empty:
                self._empty.append(len(self._living))
                self._living.append(0)
            self._open, self._next = self._empty.pop(), 0
        self._living[self._open] += 1
        self._next += 1
        return self._open * BLOCK + self._next - 1

    def drop(self, slot: int) -> int | None:
        """Gives a slot back; returns its block if that has nothing more to hold."""
        block = slot // BLOCK
        self._living[block] -= 1
        if self._living[block] or block == self._open:
            return None
        self._empty.append(block)
        return block

    def thin(self) -> int | None:
        """The emptiest block worth emptying, if there is one."""
        filled = [
            (living, block) for block, living in enumerate(self._living) if 0 < living < SPARSE and block != self._open
        ]
        return min(filled)[1] if filled else None


def some_in(block: int, alive: np.ndarray, count: int) -> list[int]:
    """Up to `count` slots of a block that are in use."""
    first = block * BLOCK
    return (first + np.flatnonzero(alive[first : first + BLOCK])[:count]).tolist()
