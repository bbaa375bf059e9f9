"""A restart of the real service on the embedded store with many cards: with the saved index, and without it.

Without the saved index every card is read and indexed again; its vector comes from the store. What embedding them once
takes is measured apart, on some of the cards.
"""

import argparse
import asyncio
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from app.embedders import MODELS
from app.security import acting_as, system
from app.settings import Settings
from app.store import open_store
from benchmarks import knowledge
from benchmarks.report import Figures, Report
from benchmarks.service import RunningService
from matching.channels.semantic import card_text
from matching.minilm import DIMENSION, NAME, MiniLMEmbedder
from models.enums import FailureCardStatus
from models.failure_card import CardContent, FailureCard
from seeds.starter import load_starter
from services.diagnosis import snapshots, vectors
from services.diagnosis.translate import card_record
from services.knowledge.loading import upsert_symptoms
from services.writing import encode

BATCH = 500
LIMIT_SECONDS = 15.0
"""What a restart of 100,000 cards may take from the process's start to its first answer."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--embed", type=int, default=500, help="cards that are embedded by the sentence model")


def run(options: argparse.Namespace) -> Report:
    rows: dict[str, Figures] = {}
    passed = True
    with tempfile.TemporaryDirectory(prefix="efi-restart-") as folder:
        models = Path(folder) / MODELS
        rate = _embedding_rate(models, options.embed)
        for count in sorted(options.cards):
            data_dir = Path(folder) / str(count)
            data_dir.mkdir()
            (data_dir / MODELS).symlink_to(models)
            asyncio.run(_fill(data_dir, count))
            for label in ("without the saved index", "with it"):
                rows[f"{count:,} cards, {label}"] = figures = _restart(data_dir)
            passed &= (figures["ready s"] or 0) <= LIMIT_SECONDS
    notes = [
        f"Embedding: {rate:,.0f} cards/s on one thread, in the background, once for each text.",
        f"Required: at most {LIMIT_SECONDS:g} s with the saved index.",
    ]
    return Report("Restart of the service", rows, notes, passed)


def _embedding_rate(models: Path, count: int) -> float:
    embedder = MiniLMEmbedder.load(models)
    texts = [f"{c.title}\n{c.symptom_text}\n{c.root_cause}" for _, c in knowledge.cards(count)]
    embedder.embed(texts[:20])
    started = time.perf_counter()
    embedder.embed(texts)
    return count / (time.perf_counter() - started)


def _document(key: str, content: CardContent) -> dict[str, Any]:
    values = {name: getattr(content, name) for name in CardContent.model_fields if name != "failure_signature"}
    card = FailureCard(**values, natural_key=key, status=FailureCardStatus.approved)
    stored = encode(card)
    return {"_id": card.id, **{name: value for name, value in stored.items() if name not in ("id", "_id")}}


async def _fill(data_dir: Path, count: int) -> None:
    """Approved cards with vectors at random, kept under the sentence model's name."""
    chance = np.random.default_rng(20_26)
    async with open_store(Settings(_env_file=None, data_dir=data_dir, mongo_url="")):
        with acting_as(system("benchmark")):
            await upsert_symptoms(load_starter().symptoms)
            made = iter(knowledge.cards(count))
            while batch := [_document(key, content) for key, content in islice(made, BATCH)]:
                await FailureCard.get_pymongo_collection().insert_many(batch)
                texts = {card["_id"]: card_text(card_record(card)) for card in batch}
                rows = chance.standard_normal((len(batch), DIMENSION)).astype(np.float32)
                await vectors.keep(NAME, texts, dict(zip(texts, rows, strict=True)))
            await vectors.set_complete(NAME)


def _restart(data_dir: Path) -> Figures:
    """Start and stop the service; it leaves the saved index for the next start."""
    started = time.perf_counter()
    service = RunningService(data_dir, EFI_LOG_LEVEL="info")
    ready = time.perf_counter() - started
    memory, worked = service.resident_bytes, service.processor_seconds
    stopping = time.perf_counter()
    service.stop()
    return {
        "ready s": round(ready, 2),
        "processor s": round(worked, 2),
        "stop s": round(time.perf_counter() - stopping, 2),
        "resident MB": round(memory / 1e6),
        "saved MB": round((data_dir / snapshots.FILE).stat().st_size / 1e6),
    }
