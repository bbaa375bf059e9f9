"""Whole cards by slot, kept out of memory: as objects a million would take gigabytes, and a match needs five."""

import json
import mmap
import os
import tempfile
import weakref
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from matching.records import DRAFT_STATUSES, CardRecord, VehicleRange
from matching.signature import SignatureFields
from matching.storage import BLOCK, Column


class _File:
    """A file without a name, closed with its last user; its first part may be `loaded` from elsewhere."""

    def __init__(self, loaded: np.ndarray | None = None) -> None:
        self._loaded = loaded if loaded is not None else np.empty(0, dtype=np.uint8)
        self._source: tuple[int, int] | None = None
        self._descriptor = -1
        self.size = len(self._loaded)

    def read_from(self, descriptor: int, base: int) -> None:
        """See `RecordStore.read_from`."""
        if len(self._loaded):
            self._source = descriptor, self._loaded.ctypes.data - base

    def content(self) -> np.ndarray:
        """All bytes, those of the file not read before they are needed."""
        own = self.size - len(self._loaded)
        if not own:
            return self._loaded
        mapped = np.frombuffer(mmap.mmap(self._descriptor, own, access=mmap.ACCESS_READ), dtype=np.uint8)
        return np.concatenate([self._loaded, mapped]) if len(self._loaded) else mapped

    def append(self, data: bytes) -> int:
        """Writes behind everything else and returns where."""
        if self._descriptor < 0:
            self._descriptor, path = tempfile.mkstemp(prefix="efi-cards-")
            Path(path).unlink()
            weakref.finalize(self, os.close, self._descriptor)
        start = self.size
        while data:
            written = os.pwrite(self._descriptor, data, self.size - len(self._loaded))
            self.size += written
            data = data[written:]
        return start

    def read(self, start: int, size: int) -> bytes:
        before = len(self._loaded)
        if start < before and self._source is not None:
            descriptor, offset = self._source
            return os.pread(descriptor, size, offset + start)
        if start < before:
            return self._loaded[start : start + size].tobytes()
        return os.pread(self._descriptor, size, start - before)


class Head(NamedTuple):
    """What a list of cards shows of one."""

    card_id: str
    title: str
    version: int
    confidence_level: str | None
    status: str

    @property
    def is_draft(self) -> bool:
        return self.status in DRAFT_STATUSES


class RecordStore:
    """Cards in unlinked temporary files that only this process can see, one for every block of slots.

    The vector is not among what is kept.
    """

    def __init__(self) -> None:
        self._files: list[_File | None] = []
        self._starts, self._sizes = Column(np.int64), Column(np.int32)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": [None if file is None else file.content() for file in self._files]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._files = [None if loaded is None else _File(loaded) for loaded in self._files]

    def read_from(self, source: BinaryIO, base: int) -> None:
        """Reads the cards of a snapshot from its file instead of from its map at the address `base`.

        Touching the map for one card would bring dozens around it into memory.
        """
        descriptor = os.dup(source.fileno())
        weakref.finalize(self, os.close, descriptor)
        for file in filter(None, self._files):
            file.read_from(descriptor, base)

    def put(self, slot: int, card: CardRecord) -> None:
        block = slot // BLOCK
        self._files.extend([None] * (block + 1 - len(self._files)))
        file = self._files[block]
        if file is None:
            file = self._files[block] = _File()
        data = encoded(card)
        self._starts[slot], self._sizes[slot] = file.append(data), len(data)

    def get(self, slot: int) -> CardRecord:
        """Raises LookupError for a slot that holds no card."""
        file, start, size = self._where(slot)
        return decoded(file.read(start, size))

    def head(self, slot: int) -> Head:
        """What a list of cards shows of the one in a slot, without reading the rest. Raises LookupError as `get`."""
        file, start, size = self._where(slot)
        line, newline, _ = file.read(start, min(size, HEAD_BYTES)).partition(b"\n")
        if not newline:
            line = file.read(start, size).partition(b"\n")[0]
        return Head(*json.loads(line.decode("utf-8", "surrogatepass")))

    def drop(self, slot: int) -> None:
        self._sizes[slot] = 0

    def _where(self, slot: int) -> tuple[_File, int, int]:
        size = int(self._sizes[slot]) if slot < self._sizes.size else 0
        file = self._files[slot // BLOCK] if size else None
        if file is None:
            raise LookupError(f"no card in slot {slot}")
        return file, int(self._starts[slot]), size

    def release(self, block: int) -> None:
        """Gives back the space of a block of slots whose cards have all been dropped."""
        self._files[block] = None


HEAD_BYTES = 512
"""Read at once for a head; longer ones take a second reading."""

_BODY = {field.name: field.default for field in fields(CardRecord) if field.name not in (*Head._fields, "vector")}
_RANGE = tuple(field.name for field in fields(VehicleRange))
_SIGNATURE = tuple(field.name for field in fields(SignatureFields))


def encoded(card: CardRecord) -> bytes:
    """The head, and on a second line what else differs from an empty card, as JSON: quick to write, and harmless to
    read from any file."""
    head = [getattr(card, name) for name in Head._fields]
    known = {name: value for name, empty in _BODY.items() if (value := getattr(card, name)) != empty}
    if card.vehicles:
        known["vehicles"] = [[getattr(span, name) for name in _RANGE] for span in card.vehicles]
    if card.signature is not None:
        known["signature"] = [getattr(card.signature, name) for name in _SIGNATURE]
    lines = (json.dumps(part, ensure_ascii=False, separators=(",", ":")) for part in (head, known))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> CardRecord:
    head, known = map(json.loads, data.decode("utf-8", "surrogatepass").split("\n"))
    if "vehicles" in known:
        known["vehicles"] = [VehicleRange(*map(_tupled, span)) for span in known["vehicles"]]
    if "signature" in known:
        known["signature"] = SignatureFields(*map(_tupled, known["signature"]))
    return CardRecord(
        **dict(zip(Head._fields, head, strict=True)), **{name: _tupled(value) for name, value in known.items()}
    )


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
