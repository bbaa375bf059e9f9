"""The matching index, with the embedder and the snapshot that the settings name."""

import asyncio

import structlog

from app.embedders import Embedders
from app.settings import Settings
from services.diagnosis import snapshots
from services.diagnosis.live_index import LiveIndex
from services.engagement.language_model import LanguageModel

log = structlog.get_logger(__name__)


async def index_for(settings: Settings, model: LanguageModel) -> LiveIndex:
    """The index, still empty: `start` it to follow the store, or `load` it once."""
    embedders = Embedders(settings, model)
    embedder, off = await asyncio.to_thread(embedders.wanted)
    if off:
        log.warning("matching goes on without its semantic channel", reason=off)
    return LiveIndex(
        embedder,
        off=off,
        former=embedders.named,
        snapshot=settings.data_dir / snapshots.FILE,
        poll_seconds=settings.index_poll_seconds,
        save_seconds=settings.index_snapshot_minutes * 60,
    )
