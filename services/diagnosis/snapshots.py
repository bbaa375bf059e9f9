"""The index of this replica on disk, between two runs of the service."""

import contextlib
import functools
import hashlib
import time
from pathlib import Path

import structlog

from matching import CardIndex, Embedder, snapshot
from matching.snapshot import SnapshotUnusable
from services.diagnosis import translate

log = structlog.get_logger(__name__)

FILE = Path("index") / "cards.snapshot"
"""Below EFI_DATA_DIR."""


def save(index: CardIndex, path: Path) -> bool:
    """Write the index; False, with the reason in the log, if that is not possible. Changes of the index wait."""
    started = time.monotonic()
    try:
        snapshot.save(index, path, {"translation": _translation()})
    except OSError as error:
        log.warning("the index could not be saved", reason=str(error))
        return False
    log.info("index saved", cards=len(index), seconds=round(time.monotonic() - started, 2))
    return True


def load(path: Path, embedder: Embedder | None) -> CardIndex | None:
    """The index as it was saved. A file that is of no use is thrown away, with the reason in the log."""
    for abandoned in path.parent.glob(f"{path.name}.*.partial"):
        # Left by a process that was killed while it wrote; a living one that shares the directory writes anew.
        with contextlib.suppress(OSError):
            abandoned.unlink()
    if not path.exists():
        return None
    started = time.monotonic()
    try:
        index, meta = snapshot.load(path, embedder)
    except SnapshotUnusable as unusable:
        return _throw_away(path, str(unusable))
    if meta.get("translation") != _translation():
        return _throw_away(path, "cards are read into the index in another way by now")
    log.info("index loaded", cards=len(index), seconds=round(time.monotonic() - started, 2))
    return index


def _throw_away(path: Path, reason: str) -> None:
    log.warning("the saved index is of no use and will be built anew", reason=reason)
    path.unlink(missing_ok=True)


@functools.cache
def _translation() -> str:
    """Hash of the source that makes the index's cards out of stored ones."""
    return hashlib.blake2b(Path(translate.__file__).read_bytes(), digest_size=16).hexdigest()
