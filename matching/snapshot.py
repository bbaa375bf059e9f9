"""The index on disk, so that a restart with many cards takes seconds: everything it has worked out, vectors included.

A snapshot is a cache beside the store, written and read by this program only; one that does not fit is thrown away
and the index is built from the cards again.
"""

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

from matching.embedding import Embedder
from matching.index import CardIndex

FORMAT = 2
"""Raise it with every change to what the index or a channel keeps, or to how text becomes terms."""


Meta = dict[str, Any]
"""What the owner of a snapshot notes beside it, any JSON value by name: how far it had read the store, say."""


class SnapshotUnusable(RuntimeError):
    """There is no snapshot, or it is damaged, of another format or of another embedder."""


def save(index: CardIndex, path: Path, meta: Meta | None = None) -> None:
    """Writes the index and `meta`, complete or not at all. Changes wait meanwhile, matches do not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file, index.still:
            pickle.dump(_stamp(index.embedder), file, pickle.HIGHEST_PROTOCOL)
            pickle.dump(meta or {}, file, pickle.HIGHEST_PROTOCOL)
            pickle.dump(index, file, pickle.HIGHEST_PROTOCOL)
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
            stamp = pickle.load(file)  # noqa: S301 - our own file, as trusted as the store beside it
            if stamp != _stamp(embedder):
                raise SnapshotUnusable(f"the snapshot was made by {stamp}, not {_stamp(embedder)}")
            meta = pickle.load(file)  # noqa: S301
            index = pickle.load(file)  # noqa: S301
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, ValueError, TypeError) as error:
        raise SnapshotUnusable(f"the snapshot cannot be read: {error!r}") from error
    index.semantic.embedder = embedder
    return index, meta


def _stamp(embedder: Embedder | None) -> tuple[int, str | None]:
    return FORMAT, embedder.name if embedder is not None else None
