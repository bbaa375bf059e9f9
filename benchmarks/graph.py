"""The knowledge graph at a million edges in the embedded store: neighbourhoods, ways, cards behind symptoms.

Neighbourhoods are asked for twice: by a service that has been running, and with nothing remembered of how any node's
edges are ranked. Beside them the peers: the whole graph held in memory by networkx, with what loading it takes; and
asking the store for every edge of a node.
"""

import argparse
import asyncio
import contextlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import networkx as nx
from pymongo import monitoring

from app.database import connect, disconnect
from app.embedded_store import start_embedded_store
from app.errors import NotFound
from app.security import acting_as, system
from benchmarks.graph_store import PARTS, SEED, SUBSYSTEMS, SYMPTOMS, card, filled, hub, zipf
from benchmarks.report import Figures, Report, milliseconds
from benchmarks.service import processor_seconds_of
from models.enums import NodeType
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation
from services.knowledge import graph, graph_ranks
from services.knowledge.nodes import Node

LIMIT_MS = 20.0
"""What a neighbourhood may take at the 99th percentile in a service that has been running."""
UNKNOWING = ", nothing remembered"
WARMING = 10
PEER_QUERIES = 60

Ask = Callable[[], Awaitable[Any]]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--cache", default="1GB", help="cache of the store, as EFI_STORE_CACHE")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="keep the store here; one that is filled already is only measured"
    )


def run(options: argparse.Namespace) -> Report:
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> Report:
    counts = _Counts()
    monitoring.register(counts)
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="efi_graph_")))
        store = await start_embedded_store(folder, cache_size=options.cache)
        try:
            database = await connect(store.url, "efi", [KnowledgeRelation, FailureCard])
            with acting_as(system("benchmark")):
                graph_filled = await filled(database, options.edges)
                meter = _Meter(counts, store.pid)
                await _measure(meter, options.queries, graph_filled["cards"])
                held = await _peers(meter, graph_filled["cards"])
        finally:
            await disconnect()
            await store.stop()
    ours = [
        figures
        for label, figures in meter.rows.items()
        if label.startswith("EFI: neighbourhood") and not label.endswith(UNKNOWING)
    ]
    passed = all((figures["p99 ms"] or 0) < LIMIT_MS for figures in ours)
    notes = [
        f"{options.edges:,} edges of {graph_filled['cards']:,} cards, written in {graph_filled['seconds']:.0f} s; "
        f"the store's cache is {options.cache}. "
        "Cards are asked for evenly, hubs by how many edges they have.",
        f"networkx held all of it in memory after {held.seconds:.0f} s, in {held.megabytes:.0f} MB.",
        "Per question: round trips, edges that the store sent, processor time here and in the store.",
        f"Required: neighbourhoods below {LIMIT_MS:g} ms at the 99th percentile in a service that has been running.",
    ]
    return Report(f"Knowledge graph of {options.edges:,} edges", meter.rows, notes, passed)


class _Counts(monitoring.CommandListener):
    """Counts what the store is asked for and what it sends."""

    def __init__(self) -> None:
        self.trips = self.documents = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.trips += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        cursor = event.reply.get("cursor", {})
        self.documents += len(cursor.get("firstBatch", ())) + len(cursor.get("nextBatch", ()))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to count."""


class _Meter:
    """Times questions, and tells in `rows` what each cost on average."""

    def __init__(self, counts: _Counts, store: int) -> None:
        self.rows: dict[str, Figures] = {}
        self._counts = counts
        self._store = store

    async def measure(self, label: str, queries: int, ask: Ask, *, before: Callable[[], None] | None = None) -> None:
        """Adds a row. `before` is called before each question and not timed."""
        for _ in range(WARMING):
            await ask()
        seconds = []
        first = self._totals()
        for _ in range(queries):
            if before is not None:
                before()
            started = time.perf_counter()
            await ask()
            seconds.append(time.perf_counter() - started)
        trips, documents, here, there = (
            (now - then) / queries for now, then in zip(self._totals(), first, strict=True)
        )
        costs = {
            "trips": round(trips, 1),
            "edges sent": round(documents, 1),
            "own ms": round(here * 1000, 2),
            "store ms": round(there * 1000, 2),
        }
        self.rows[label] = milliseconds(seconds) | costs
        print(label, self.rows[label], file=sys.stderr, flush=True)

    def _totals(self) -> tuple[float, ...]:
        return self._counts.trips, self._counts.documents, time.process_time(), processor_seconds_of(self._store)


async def _measure(meter: _Meter, queries: int, cards: int) -> None:
    rng = random.Random(SEED + 1)

    def some_card() -> Node:
        return card(rng.randrange(cards))

    def some(kind: NodeType, count: int) -> Node:
        # Of the rarest there may be none in a small graph.
        return hub(kind, zipf(rng, min(count, cards // 20)))

    def symptom() -> Node:
        return some(NodeType.symptom, SYMPTOMS)

    def part() -> Node:
        return some(NodeType.part, PARTS)

    half = min(SYMPTOMS, cards // 20) // 2

    async def way() -> None:
        with contextlib.suppress(NotFound):  # an answer, too
            await graph.paths(symptom(), part())

    around: dict[str, Ask] = {
        "card, 1 step": lambda: graph.neighbourhood(some_card(), 1),
        "card, 2 steps": lambda: graph.neighbourhood(some_card(), 2),
        "symptom, 1 step": lambda: graph.neighbourhood(symptom(), 1),
        "symptom, 2 steps": lambda: graph.neighbourhood(symptom(), 2),
        "part, 1 step": lambda: graph.neighbourhood(part(), 1),
        "subsystem, 1 step": lambda: graph.neighbourhood(some(NodeType.subsystem, SUBSYSTEMS), 1),
    }
    further: dict[str, Ask] = {
        "strongest ways, symptom to part": way,
        "cards behind two symptoms": lambda: graph.reachable_cards([symptom().id, symptom().id]),
        "what two symptoms share": lambda: graph.shared_by(
            hub(NodeType.symptom, zipf(rng, half)).id, hub(NodeType.symptom, half + rng.randrange(half - 1)).id
        ),
    }
    forget = graph_ranks.remembered.clear
    for what, ask in around.items():
        await meter.measure(f"EFI: neighbourhood of a {what}{UNKNOWING}", queries, ask, before=forget)
    for what, ask in around.items():
        await meter.measure(f"EFI: neighbourhood of a {what}", queries, ask)
    for what, ask in further.items():
        await meter.measure(f"EFI: {what}", queries, ask)


class _Held(NamedTuple):
    """What it took to hold the whole graph in memory."""

    seconds: float
    megabytes: float


async def _peers(meter: _Meter, cards: int) -> _Held:
    rng = random.Random(SEED + 1)
    collection = KnowledgeRelation.get_pymongo_collection()

    def symptom() -> str:
        return hub(NodeType.symptom, zipf(rng, min(SYMPTOMS, cards // 20))).key

    async def naive() -> None:
        found = await collection.find({"ends": symptom()}).to_list()
        sorted(found, key=lambda edge: edge["rank"])[:60]

    await meter.measure("peer: every edge of a symptom, sorted", PEER_QUERIES, naive)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    whole = nx.Graph()
    async for edge in collection.find({}, {"ends": 1, "weight": 1}):
        whole.add_edge(*edge["ends"], weight=edge["weight"])
    seconds = time.perf_counter() - started

    async def in_memory() -> None:
        around = whole[symptom()]
        sorted(around.items(), key=lambda item: -item[1]["weight"])[:60]

    await meter.measure("peer: networkx, all in memory", PEER_QUERIES, in_memory)
    return _Held(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
