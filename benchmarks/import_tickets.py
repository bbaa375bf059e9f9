"""26,000 owner complaints imported as tickets: rate and memory, beside a plain insert_many of the same rows.

The peer keeps each row as it is, in a bare collection of the same store and in batches of the same size: no tickets, no
check for what is there already, no indexes, no progress to resume from.
"""

import argparse
import asyncio
import gc
import gzip
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.security import acting_as, system
from app.settings import Settings
from app.store import open_store
from benchmarks import knowledge
from benchmarks.report import Figures, Report
from models.bookkeeping import ImportRun
from models.ticket import Ticket
from seeds.importers.nhtsa_complaints import COLUMNS, ComplaintImporter
from seeds.importers.reading import Row, Source
from seeds.importers.runs import BATCH, run_import

QUARTERS = (25, 50, 75, 100)
ALLOWED_GROWTH_MB = 10.0
"""From a quarter of the file to its end. What a run holds is a batch; the rest is the allocator's."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", type=Path, help="complaints to import; made-up ones in the same format by default")
    parser.add_argument("--rows", type=int, default=26_000, help="how many to make up")


def run(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or _made_up(Path(folder) / "complaints.jsonl.gz", options.rows)
        rows, growth = asyncio.run(_measure(path, Path(folder) / "data"))
    notes = [
        f"Batches of {BATCH}. The peer: insert_many of the rows as they are, into a bare collection.",
        "Memory is the resident set of the importing process; the store runs beside it.",
        f"Required: memory grows by less than {ALLOWED_GROWTH_MB:g} MB from 25 % of the file to its end.",
    ]
    return Report("Owner complaints imported as tickets", rows, notes, passed=growth < ALLOWED_GROWTH_MB)


async def _measure(path: Path, data_dir: Path) -> tuple[dict[str, Figures], float]:
    with Source(path, COLUMNS) as source:
        total = sum(1 for _ in source.rows())
    rows: dict[str, Figures] = {}
    settings = Settings(_env_file=None, data_dir=data_dir, mongo_url="", seed=False)
    async with open_store(settings):
        with acting_as(system("benchmark")):
            rows["EFI"] = first = await _imported(path, total, with_events=False)
            rows["again"] = await _imported(path, total, with_events=False)
            await Ticket.get_pymongo_collection().delete_many({})
            rows["with events"] = await _imported(path, total, with_events=True)
            rows["insert_many"] = await _peer(path, total)
    return rows, float(first["MB at 100 %"] or 0) - float(first["MB at 25 %"] or 0)


async def _imported(path: Path, total: int, *, with_events: bool) -> Figures:
    watch = _Watch(total)

    def note(_position: int, _size: int, run: ImportRun) -> None:
        watch.note(run.created + run.unchanged + run.bad_count)

    run = await run_import(ComplaintImporter(with_events=with_events), path, progress=note)
    return watch.figures() | {"new": run.created}


async def _peer(path: Path, total: int) -> Figures:
    collection = Ticket.get_pymongo_collection().database["raw_rows"]
    watch, done = _Watch(total), 0
    with Source(path, COLUMNS) as source:
        for batch in _batches(source):
            await collection.insert_many(batch)
            done += len(batch)
            watch.note(done)
    return watch.figures() | {"new": done}


def _batches(source: Source) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in source.rows():
        if isinstance(row, Row):
            batch.append(row.fields)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class _Watch:
    """Takes the time, and the memory at each quarter."""

    def __init__(self, total: int) -> None:
        gc.collect()
        self.total = total
        self.started = time.perf_counter()
        self.memory: dict[int, float] = {}

    def note(self, done: int) -> None:
        for quarter in QUARTERS:
            if quarter not in self.memory and done * 100 >= quarter * self.total:
                self.memory[quarter] = resident_mb()

    def figures(self) -> Figures:
        seconds = time.perf_counter() - self.started
        memory = {f"MB at {quarter} %": self.memory.get(quarter) for quarter in QUARTERS}
        return {"rows/s": round(self.total / seconds), "s": round(seconds, 2)} | memory


def resident_mb() -> float:
    """This process's resident set, now (not its peak)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def _made_up(path: Path, count: int) -> Path:
    """Complaints in the format of the importer's JSON lines, as long as owners' letters are (some 600 characters)."""
    chance = random.Random(knowledge.SEED)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number, body in enumerate(knowledge.complaints(count)):
            row = {
                "odi": str(10_000_000 + number),
                "vehicles": [{"make": body["vehicle_make"], "model": body["vehicle_model"], "year": "2022"}],
                "components": [chance.choice(["STEERING", "POWER TRAIN", "ELECTRICAL SYSTEM", "SERVICE BRAKES"])],
                "filed": f"{chance.randint(2005, 2024)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
                "crash": chance.random() < 0.05,
                "fire": chance.random() < 0.02,
                "injuries": 0,
                "deaths": 0,
                "text": " ".join([str(body["description"])] * chance.randint(2, 5)),
            }
            file.write(json.dumps(row) + "\n")
    return path
