"""The index on disk, so that a restart with many cards takes seconds: everything it has worked out, vectors included.

A snapshot is a cache beside the store, written and read by this program only; one that does not fit is thrown away
and the index is built from the cards again.
"""

import functools
import hashlib
import os
import pickle
import tempfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from matching.embedding import Embedder
from matching.index import CardIndex

BLOCK = 1 << 20
SUM_BYTES = 4

Meta = dict[str, Any]
"""What the owner of a snapshot notes beside it, any JSON value by name: how far it had read the store, say."""


class SnapshotUnusable(RuntimeError):
    """There is no snapshot, or it is damaged, of another state of this engine or of another embedder."""


def save(index: CardIndex, path: Path, meta: Meta | None = None) -> None:
    """Writes the index and `meta`, complete or not at all. Changes wait meanwhile, matches do not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file, index.still:
            summed = _Summed(file)
            for part in ((_engine(), _name(index.embedder)), meta or {}, index):
                pickle.dump(part, summed, pickle.HIGHEST_PROTOCOL)
            file.write(summed.sum.to_bytes(SUM_BYTES, "little"))
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
            _check(file)
            engine, name = pickle.load(file)  # noqa: S301 - our own file, as trusted as the store beside it
            if engine != _engine():
                raise SnapshotUnusable("the snapshot was made by another release")
            if name != _name(embedder):
                raise SnapshotUnusable(f"the snapshot holds vectors by {name}, not by {_name(embedder)}")
            meta = pickle.load(file)  # noqa: S301
            index = pickle.load(file)  # noqa: S301
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, ValueError, TypeError) as error:
        raise SnapshotUnusable(f"the snapshot cannot be read: {error!r}") from error
    index.semantic.embedder = embedder
    return index, meta


class _Summed:
    """A file that knows the checksum of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sum = file, 0

    def write(self, data: bytes) -> int:
        self.sum = zlib.crc32(data, self.sum)
        return self._file.write(data)


def _check(file: BinaryIO) -> None:
    """Nothing damaged is unpickled: it might even succeed. Leaves the file at its beginning."""
    left, found = os.fstat(file.fileno()).st_size - SUM_BYTES, 0
    while left > 0 and (block := file.read(min(BLOCK, left))):
        found, left = zlib.crc32(block, found), left - len(block)
    if left or file.read() != found.to_bytes(SUM_BYTES, "little"):
        raise SnapshotUnusable("the snapshot is damaged")
    file.seek(0)


def _name(embedder: Embedder | None) -> str | None:
    return embedder.name if embedder is not None else None


@functools.cache
def _engine() -> str:
    """Hash of the engine's own source: any change of it may change what an index or a channel keeps."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
