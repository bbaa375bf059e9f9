"""The index of this replica on disk, between two runs of the service."""

import contextlib
import functools
import hashlib
import time
from pathlib import Path

import structlog

from app import clock
from matching import CardIndex, Embedder
from matching.snapshot import SnapshotUnusable
from matching.snapshot import load as load_index
from matching.snapshot import save as save_index
from services.diagnosis import translate

log = structlog.get_logger(__name__)

FILE = Path("index") / "cards.snapshot"
"""Below EFI_DATA_DIR."""
ABANDONED_SECONDS = 600
"""No process takes so long to write one."""


def write(index: CardIndex, path: Path) -> bool:
    """Write the index; False, with the reason in the log, if that is not possible. Changes of the index wait."""
    started = time.monotonic()
    try:
        save_index(index, path, {"translation": _translation()})
    except OSError as error:
        log.warning("the index could not be saved", reason=str(error))
        return False
    log.info("index saved", cards=len(index), seconds=round(time.monotonic() - started, 2))
    return True


def read(path: Path, embedder: Embedder | None) -> CardIndex | None:
    """The index as it was saved, or None, with the reason in the log, if it is of no use."""
    _clear(path)
    if not path.exists():
        return None
    started, reason = time.monotonic(), ""
    try:
        index, meta = load_index(path, embedder)
        if meta.get("translation") != _translation():
            reason = "cards are read into the index in another way by now"
    except SnapshotUnusable as unusable:
        reason = str(unusable)
    if reason:
        log.warning("the saved index is of no use and will be built anew", reason=reason)
        return None
    log.info("index loaded", cards=len(index), seconds=round(time.monotonic() - started, 2))
    return index


def drop(path: Path) -> None:
    path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove what processes have left that were killed while they wrote."""
    for partial in path.parent.glob(f"{path.name}.*.partial"):
        with contextlib.suppress(OSError):
            if partial.stat().st_mtime < clock.now().timestamp() - ABANDONED_SECONDS:
                partial.unlink()


@functools.cache
def _translation() -> str:
    """Hash of the source that makes the index's cards out of stored ones."""
    return hashlib.blake2b(Path(translate.__file__).read_bytes(), digest_size=16).hexdigest()
