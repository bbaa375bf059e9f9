"""The index on disk, so that a restart with many cards takes seconds: everything it has worked out, vectors included.

A snapshot is a cache beside the store, written and read by this program only; one that does not fit is thrown away
and the index is built from the cards again.
"""

import os
import pickle
import tempfile
from pathlib import Path

from matching.embedding import Embedder
from matching.index import CardIndex

FORMAT = 1
"""Raise it with every change to what the index or a channel keeps, or to how text becomes terms."""


class SnapshotUnusable(RuntimeError):
    """There is no snapshot, or it is damaged, of another format or of another embedder."""


def save(index: CardIndex, path: Path) -> None:
    """Writes the index, complete or not at all. Matches and changes wait meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file, index.lock:
            pickle.dump(_stamp(index.embedder), file, pickle.HIGHEST_PROTOCOL)
            pickle.dump(index, file, pickle.HIGHEST_PROTOCOL)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def load(path: Path, embedder: Embedder | None = None) -> CardIndex:
    """The index as it was saved, served by `embedder` from now on. Raises SnapshotUnusable."""
    try:
        with path.open("rb") as file:
            stamp = pickle.load(file)  # noqa: S301 - our own file, as trusted as the store beside it
            if stamp != _stamp(embedder):
                raise SnapshotUnusable(f"the snapshot was made by {stamp}, not {_stamp(embedder)}")
            index = pickle.load(file)  # noqa: S301
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, ValueError, TypeError) as error:
        raise SnapshotUnusable(f"the snapshot cannot be read: {error!r}") from error
    index.semantic.embedder = embedder
    return index


def _stamp(embedder: Embedder | None) -> tuple[int, str | None]:
    return FORMAT, embedder.name if embedder is not None else None
