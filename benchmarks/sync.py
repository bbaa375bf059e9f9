"""Cards travel from one service to an empty one: from the request to pull until the other service's matching index has
taken them up. With `--soak MINUTES` two services sync both ways under random edits instead, and must end the same.

The peer is the bare work of the store: the same documents (cards and their versions) read from one database and written
to another with `insert_many`, without signatures, checks, lineages, events or an index.
"""

import argparse
import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from app import database
from app.security import acting_as, system
from app.settings import Settings
from app.store import open_store
from benchmarks import knowledge, soak
from benchmarks.report import Figures, Report
from benchmarks.service import RunningService, running_service
from models.failure_card import CardVersion, FailureCard

LIMIT_SECONDS = 60
COPY_BATCH = 1000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, default=10_000)
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="sync both ways under random edits for so long")
    parser.add_argument("--seed", type=int, default=None, help="of the random edits; a new one each time by default")


def run(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        if options.soak is not None:
            return soak.run(Path(folder), minutes=options.soak, seed=options.seed)
        return _transfer(Path(folder), options.cards)


def _transfer(folder: Path, count: int) -> Report:
    source, target = folder / "source", folder / "target"
    knowledge.prepare(source, count)
    with ExitStack() as stack:
        # What the source does with its own events is not what is measured; the target works through those that arrive.
        # Nor is the sentence model, which would work through the cards of both in the background at the same time.
        ours = stack.enter_context(running_service(source, EFI_PROCESS_EVENTS="false", EFI_EMBEDDER="hashing"))
        theirs = stack.enter_context(running_service(target, EFI_NETWORK_PULL_SECONDS="0", EFI_EMBEDDER="hashing"))
        first, second = soak.Client(ours), soak.Client(theirs)
        soak.introduce(first, second)
        computed = -_computed(ours, theirs)
        started = time.perf_counter()
        first.publish()
        published = time.perf_counter() - started
        started = time.perf_counter()
        pulled = second.pull(first)
        stored = time.perf_counter() - started
        while second.indexed() < count:
            time.sleep(0.05)
        indexed = time.perf_counter() - started
        computed += _computed(ours, theirs)
    size, copied = asyncio.run(_copy(source))
    total = published + indexed
    rows: dict[str, Figures] = {
        "EFI, service to service": {
            "cards": pulled["added"],
            "numbered s": round(published, 2),
            "stored s": round(stored, 2),
            "indexed s": round(indexed, 2),
            "all s": round(total, 2),
            "processor s": round(computed, 2),
            "cards/s": round(count / total, 1),
        },
        "insert_many of the same documents": {
            "cards": count,
            "stored s": round(copied, 2),
            "all s": round(copied, 2),
            "cards/s": round(count / copied, 1),
        },
    }
    notes = [
        "numbered: the source looks at all its cards for the first time; later it looks at what has changed.",
        "stored: bundles fetched, verified and committed, with versions, lineages and events; indexed: matched there.",
        "processor s: of both services and both stores, which share here what each would have to itself.",
        f"The bare copy moves {size:,} documents and leaves out everything else.",
    ]
    passed = pulled["added"] == count and pulled["refused"] == 0 and total < LIMIT_SECONDS
    return Report(f"{count:,} cards to an empty service", rows, notes, passed)


def _computed(*services: RunningService) -> float:
    return sum(service.processor_seconds_with_store for service in services)


async def _copy(source: Path) -> tuple[int, float]:
    """Number of documents and seconds of the bare copy, within one store."""
    settings = Settings(_env_file=None, data_dir=source, mongo_url="")
    async with open_store(settings):
        with acting_as(system("benchmark")):
            target = database._client["copy"]
            size, started = 0, time.perf_counter()
            for model in (FailureCard, CardVersion):
                batch = []
                async for document in model.get_pymongo_collection().find({}):
                    batch.append(document)
                    if len(batch) == COPY_BATCH:
                        await target[model.Settings.name].insert_many(batch)
                        size, batch = size + len(batch), []
                if batch:
                    await target[model.Settings.name].insert_many(batch)
                    size += len(batch)
            return size, time.perf_counter() - started
