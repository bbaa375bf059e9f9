"""Whole matches in process from a thousand cards up: the cost curve, the memory, and what a change costs.

Complaints of 10 to 30 words. Cards carry vectors of alike texts made up at random, since embedding a million real ones
takes hours and the search does not care; with `--model DIR` the complaint itself is embedded by the sentence model.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import corpus
from benchmarks.report import Figures, Report, milliseconds
from matching import CardIndex, Case, Embedder, Matcher
from matching.minilm import MiniLMEmbedder

CHANGES = 300
WARM_UP = 20


class _Made:
    """Vectors at random, under a name and with the time of the sentence model if there is one."""

    dimension = 384

    def __init__(self, model: Embedder | None) -> None:
        self.name = model.name if model is not None else "made-up"
        self.model: Embedder | None = None
        self._random = np.random.default_rng(20_26)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if self.model is not None:
            return self.model.embed(texts)
        made = self._random.standard_normal((len(texts), self.dimension), dtype=np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    def embed_question(self, text: str) -> np.ndarray:
        return self.embed([text])[0] if self.model is None else self.model.embed_question(text)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--texts", type=Path, help="JSON lines with a field `text` to take sentences from, may be .gz")
    parser.add_argument("--model", type=Path, metavar="DIR", help="where the built sentence model is or goes")


def run(options: argparse.Namespace) -> Report:
    known = corpus.sentences(options.texts)
    model = MiniLMEmbedder.load(options.model) if options.model is not None else None
    cases = corpus.cases(options.queries + WARM_UP, known)
    rows: dict[str, Figures] = {}
    for count in sorted(options.cards):
        embedder = _Made(model)
        before, started = _resident(), time.perf_counter()
        index = CardIndex(embedder)
        index.upsert_many(corpus.cards(count, known))
        built, memory = time.perf_counter() - started, _resident() - before
        matcher = Matcher(index)
        for scorer in sorted(matcher.scorers):
            row = f"{count:,} cards: {scorer}"
            rows[row] = _timed(cases, lambda case, s=scorer, m=matcher: m.match(case, scorer=s))
            rows[row] |= {"MB": round(memory / 1e6), "build s": built} | _changes(index)
            if model is not None:
                embedder.model = model
                rows[f"{row}, embedded"] = _timed(cases, lambda case, s=scorer, m=matcher: m.match(case, scorer=s))
                embedder.model = None
    return Report("One match, complaint of 10 to 30 words, best five explained", rows)


def _timed(cases: list[Case], match: Callable[[Case], object]) -> Figures:
    seconds = []
    for number, case in enumerate(cases):
        # A complaint is new every time: the model's cache must not answer.
        asked = replace(case, text=f"{case.text} {number + time.time_ns() % 1000}")
        started = time.perf_counter()
        match(asked)
        seconds.append(time.perf_counter() - started)
    return milliseconds(seconds[WARM_UP:])


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
