"""Whole matches in process from a thousand cards up: the cost curve, the memory, and what a change and a restart cost.

Complaints of 10 to 30 words with a vehicle, best five explained. Cards carry vectors made up at random, since embedding
a million takes hours and the search does not care; with `--model DIR` the complaint itself is also embedded by the
sentence model. Of several rounds the quietest counts. With `--snapshots DIR` an index that was built once is loaded.
`built MB` is the whole process with an index just built, `process MB` one that has loaded it and answered all queries:
what these did not touch of the snapshot is still on the disk.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import corpus
from benchmarks.chart import Points, line_chart
from benchmarks.report import Figures, Report, milliseconds
from matching import CardIndex, CardRecord, Case, Embedder, Matcher, snapshot
from matching.minilm import MiniLMEmbedder

CHANGES = 300
WARM_UP = 20
BATCH = 4096


class _Made:
    """Vectors at random, under a name and with the time of the sentence model if there is one."""

    dimension = 384

    def __init__(self, model: Embedder | None) -> None:
        self.name = model.name if model is not None else "made-up"
        self.model: Embedder | None = None
        self._random = np.random.default_rng(20_26)

    def embed_question(self, text: str) -> np.ndarray:
        return self.embed([text])[0] if self.model is None else self.model.embed_question(text)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        made = self._random.standard_normal((len(texts), self.dimension), dtype=np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=Path, help="JSON lines with a field `text` to take sentences from, may be .gz")
    parser.add_argument("--model", type=Path, metavar="DIR", help="where the built sentence model is or goes")
    parser.add_argument("--snapshots", type=Path, metavar="DIR", help="keep the built indexes here for the next run")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the cost curve")


def run(options: argparse.Namespace) -> Report:
    known = corpus.sentences(options.texts)
    model = MiniLMEmbedder.load(options.model) if options.model is not None else None
    cases = corpus.cases(options.queries + WARM_UP, known)
    rows: dict[str, Figures] = {}
    curves: dict[str, list[tuple[float, float]]] = {}
    for count in sorted(options.cards):
        embedder = _Made(model)
        with TemporaryDirectory() as own:
            index, figures = _index(count, embedder, known, options.snapshots or Path(own))
        matcher = Matcher(index)
        for scorer in sorted(matcher.scorers):
            for label, used in (("", None), (", embedded", model)):
                if label and model is None:
                    continue
                embedder.model = used
                row = f"{count:,} cards: {scorer}{label}"
                _say(row)
                rows[row] = _timed(cases, options.rounds, lambda case, s=scorer, m=matcher: m.match(case, scorer=s))
                for name in ("p50 ms", "p99 ms"):
                    curves.setdefault(f"{scorer}{label}, {name[:3]}", []).append((count, float(rows[row][name] or 0)))
                embedder.model = None
                if not label:
                    rows[row] |= figures | _changes(index) | {"process MB": round(_resident() / 1e6)}
        del index, matcher
        gc.collect()
    if options.svg is not None:
        _draw(options.svg, curves)
    return Report("One match, complaint of 10 to 30 words, best five explained", rows)


def _draw(path: Path, curves: dict[str, list[tuple[float, float]]]) -> None:
    lines: dict[str, Points] = {name: points for name, points in curves.items() if name.endswith("p99")}
    line_chart(path, "One match, best five explained (p99)", "cards", "milliseconds", lines)


def _index(count: int, embedder: Embedder, known: list[str], folder: Path) -> tuple[CardIndex, Figures]:
    """The index of so many cards as a restart finds it, and what building, saving and loading took."""
    path = folder / f"match-{count}"
    figures: Figures = {}
    if not path.exists():
        _say(f"building {count:,} cards")
        started = time.perf_counter()
        built = CardIndex(embedder)
        for done, batch in enumerate(_batches(corpus.cards(count, known)), 1):
            built.upsert_many(batch)
            if done % 10 == 0:
                _say(f"  {min(count, done * BATCH):,} after {time.perf_counter() - started:.0f} s")
        made = {"build s": time.perf_counter() - started, "built MB": round(_resident() / 1e6)}
        started = time.perf_counter()
        snapshot.save(built, path, made)
        figures["save s"] = time.perf_counter() - started
        del built
        gc.collect()
    started = time.perf_counter()
    try:
        index, meta = snapshot.load(path, embedder)
    except snapshot.SnapshotUnusable:
        path.unlink()
        return _index(count, embedder, known, folder)
    return index, {"save s": None} | figures | meta | {"load s": time.perf_counter() - started}


def _batches(cards: Iterator[CardRecord]) -> Iterator[list[CardRecord]]:
    batch: list[CardRecord] = []
    for card in cards:
        batch.append(card)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _timed(cases: list[Case], rounds: int, match: Callable[[Case], object]) -> Figures:
    found: list[Figures] = []
    for turn in range(rounds):
        seconds = []
        for number, case in enumerate(cases):
            # A complaint is new every time: the model's cache must not answer.
            asked = replace(case, text=f"{case.text} {number + turn * len(cases) + time.time_ns() % 1000}")
            started = time.perf_counter()
            match(asked)
            seconds.append(time.perf_counter() - started)
        found.append(milliseconds(seconds[WARM_UP:]))
    return min(found, key=lambda figures: figures["p99 ms"] or 0)


def _changes(index: CardIndex) -> Figures:
    card = next(iter(corpus.cards(1, ["Battery does not charge beyond eighty percent after rain at all"])))
    started = time.perf_counter()
    for number in range(CHANGES):
        index.upsert(replace(card, card_id=f"new{number}"), embed=False)
    added = time.perf_counter()
    for number in range(CHANGES):
        index.remove(f"new{number}")
    removed = time.perf_counter()
    return {"add ms": (added - started) / CHANGES * 1000, "remove ms": (removed - added) / CHANGES * 1000}


def _resident() -> int:
    """Bytes of this process in memory (Linux)."""
    fields = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in fields if line.startswith("VmRSS"))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
