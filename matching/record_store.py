"""Whole cards by slot, kept out of memory: as objects a million would take gigabytes, and a match needs five."""

import os
import pickle
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from matching.records import CardRecord
from matching.storage import Column

WASTE = 1 << 26
"""Bytes of removed cards that are tolerated before the file is written anew."""


class _PrivateFile:
    """A file without a name, closed with its last user."""

    def __init__(self) -> None:
        self.descriptor, path = tempfile.mkstemp(prefix="efi-cards-")
        Path(path).unlink()
        weakref.finalize(self, os.close, self.descriptor)


class RecordStore:
    """Cards in an unlinked temporary file that only this process can see; the vector is not among what is kept."""

    def __init__(self) -> None:
        self._file = _PrivateFile()
        self._starts, self._sizes = Column(np.int64), Column(np.int32)
        self._end = self._used = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": os.pread(self._file.descriptor, self._end, 0)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_file": _PrivateFile()})
        os.pwrite(self._file.descriptor, state["_file"], 0)

    def put(self, slot: int, card: CardRecord) -> None:
        data = pickle.dumps(replace(card, vector=None), pickle.HIGHEST_PROTOCOL)
        os.pwrite(self._file.descriptor, data, self._end)
        self._starts[slot], self._sizes[slot] = self._end, len(data)
        self._end += len(data)
        self._used += len(data)

    def get(self, slot: int) -> CardRecord:
        """Raises LookupError for a slot that holds no card."""
        size = int(self._sizes[slot]) if slot < self._sizes.size else 0
        if size == 0:
            raise LookupError(f"no card in slot {slot}")
        data = os.pread(self._file.descriptor, size, int(self._starts[slot]))
        return pickle.loads(data)  # noqa: S301 - written by this very process

    def drop(self, slot: int) -> None:
        self._used -= int(self._sizes[slot])
        self._sizes[slot] = 0
        if self._end - self._used > max(WASTE, self._used):
            self._rewrite()

    def _rewrite(self) -> None:
        """Copies the living cards to a new file; the old one vanishes with its descriptor."""
        fresh = _PrivateFile()
        end = 0
        for slot in np.flatnonzero(self._sizes.data).tolist():
            size = int(self._sizes[slot])
            os.pwrite(fresh.descriptor, os.pread(self._file.descriptor, size, int(self._starts[slot])), end)
            self._starts[slot] = end
            end += size
        self._file, self._end = fresh, end
