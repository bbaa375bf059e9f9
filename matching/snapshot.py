"""The index on disk, so that a restart with many cards takes seconds: everything it has worked out, vectors included.

A snapshot is a cache beside the store, written and read by this program only; one that does not fit is thrown away
and the index is built from the cards again. It is one file:

    prefix | arrays, as they lie in memory | what refers to them, pickled | header (JSON)

The prefix says where the header is; the header says by which engine and embedder, holds the owner's note, the places of
the arrays, and a checksum. Nothing is unpickled before the header and the checksum were found right, and then only
classes of this engine and of numpy. Arrays are mapped, not read: what a search does not touch stays on the disk.
"""

import functools
import hashlib
import io
import json
import mmap
import os
import pickle
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from matching.embedding import Embedder
from matching.index import CardIndex

MAGIC = b"EFIINDEX"
PREFIX = struct.Struct("<8sQQI")
"""Magic, where the header begins, its size and its checksum."""

ALIGNED, CHUNK = 64, 1 << 20

HARMLESS = {
    "builtins": {"bytearray", "dict", "frozenset", "list", "object", "set"},
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "copyreg": {"_reconstructor"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
}
"""What a snapshot may name beside this engine's own classes."""

Meta = dict[str, Any]
"""What the owner of a snapshot notes beside it, any JSON value by name: how far it had read the store, say."""


class SnapshotUnusable(RuntimeError):
    """There is no snapshot, or it is damaged, of another state of this engine or of another embedder."""


def save(index: CardIndex, path: Path, meta: Meta | None = None) -> None:
    """Writes the index and `meta`, complete or not at all.

    Changes wait while what may change is copied, some 100 bytes per card, but not for the disk; matches never wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with index.still:
        arrays: list[memoryview] = []
        settled = {id(array) for array in index.settled()}
        structure = pickle.dumps(
            index, protocol=5, buffer_callback=lambda buffer: arrays.append(_kept(memoryview(buffer), settled))
        )
        header = {"engine": _engine(), "embedder": _name(index.embedder), "meta": meta or {}}
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            _write(file, header, arrays, structure)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def load(path: Path, embedder: Embedder | None = None) -> tuple[CardIndex, Meta]:
    """The index as it was saved, served by `embedder` from now on, and the note beside it. Raises SnapshotUnusable."""
    try:
        with path.open("rb") as file:
            header = _header(file)
            if header["engine"] != _engine():
                raise SnapshotUnusable("the snapshot was made by another release")
            if header["embedder"] != _name(embedder):
                raise SnapshotUnusable(f"the snapshot holds vectors by {header['embedder']}, not by {_name(embedder)}")
            _check(file, header)
            # Changes go to memory, never to the file; that stays readable even when a newer one takes its name.
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
            *arrays, structure = (content[start : start + size] for start, size in header["parts"])
            index = _Unpickler(io.BytesIO(structure), buffers=arrays).load()
            index.read_cards_from(file, np.frombuffer(content, dtype=np.uint8).ctypes.data)
    except (
        OSError,
        EOFError,
        pickle.UnpicklingError,
        AttributeError,
        ImportError,
        ValueError,
        TypeError,
        KeyError,
    ) as error:
        raise SnapshotUnusable(f"the snapshot cannot be read: {error!r}") from error
    index.semantic.embedder = embedder
    return index, header["meta"]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if name in HARMLESS.get(module, ()) else None
        if found is None and module.startswith("matching."):
            found = super().find_class(module, name)
            if not isinstance(found, type) or found.__module__ != module:
                found = None
        if found is None:
            raise pickle.UnpicklingError(f"a snapshot has no business with {module}.{name}")
        return found


def _kept(view: memoryview, settled: set[int]) -> memoryview:
    """The bytes of an array; a copy of them unless what is in use of it never changes."""
    return view.cast("B") if view.readonly or id(view.obj) in settled else memoryview(bytes(view))


def _write(file: BinaryIO, header: dict[str, Any], arrays: list[memoryview], structure: bytes) -> None:
    file.write(bytes(PREFIX.size))
    parts, checksum, end = [], 0, PREFIX.size
    for part in (*arrays, memoryview(structure)):
        padding = bytes(-end % ALIGNED)
        for start in range(0, len(part), CHUNK):
            # What is not settled beyond its end may still change: the checksum is of what is written.
            chunk = bytes(part[start : start + CHUNK])
            if start == 0:
                file.write(padding)
            file.write(chunk)
            checksum = zlib.crc32(chunk, checksum)
        if len(part):
            end += len(padding)
        parts.append((end, len(part)))
        end += len(part)
    text = json.dumps(header | {"parts": parts, "checksum": checksum}).encode()
    file.write(text)
    file.seek(0)
    file.write(PREFIX.pack(MAGIC, end, len(text), zlib.crc32(text)))


def _header(file: BinaryIO) -> dict[str, Any]:
    magic, start, size, checksum = PREFIX.unpack(file.read(PREFIX.size).ljust(PREFIX.size, b"\0"))
    if magic != MAGIC:
        raise SnapshotUnusable("the snapshot is damaged: it does not begin like one")
    file.seek(start)
    text = file.read(size)
    if len(text) != size or zlib.crc32(text) != checksum:
        raise SnapshotUnusable("the snapshot is damaged")
    return json.loads(text)


def _check(file: BinaryIO, header: dict[str, Any]) -> None:
    checksum = 0
    for start, size in header["parts"]:
        file.seek(start)
        while size > 0 and (chunk := file.read(min(CHUNK, size))):
            checksum, size = zlib.crc32(chunk, checksum), size - len(chunk)
    if checksum != header["checksum"]:
        raise SnapshotUnusable("the snapshot is damaged")


def _name(embedder: Embedder | None) -> str | None:
    return embedder.name if embedder is not None else None


@functools.cache
def _engine() -> str:
    """Hash of the engine's own source: any change of it may change what an index or a channel keeps."""
    digest = hashlib.blake2b(np.__version__.encode(), digest_size=16)
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in {".py", ".c", ".h"}:
            digest.update(path.read_bytes())
    return digest.hexdigest()
