"""The vector engine (sign bits, then int8) beside a numpy float32 scan, with the share of the true ten it finds.

Vectors are made in groups of alike ones, as texts form them, 384 dimensions.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.plain import plain_numpy
from benchmarks.report import Figures, Report, quietest
from matching.kernels import COMPILED
from matching.vectors import VectorStore

DIMENSION = 384
LIMIT = 10
GROUP = 50
SEED = 20_26


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)


def run(options: argparse.Namespace) -> Report:
    _say("making vectors")
    vectors, queries = _alike(options.vectors, options.queries)
    _say("storing")
    store = VectorStore(DIMENSION)
    started = time.perf_counter()
    for slot, vector in enumerate(vectors):
        store.put(slot, vector)
    put = (time.perf_counter() - started) / len(vectors) * 1000
    allowed = np.ones(len(vectors), dtype=bool)

    def ours(query: np.ndarray) -> np.ndarray:
        return store.search(query, LIMIT, allowed)[0]

    def plain(query: np.ndarray) -> np.ndarray:
        scores = vectors @ query
        best = np.argpartition(-scores, LIMIT)[:LIMIT]
        return best[np.argsort(-scores[best])]

    _say("measuring")
    recall = float(np.mean([len(set(ours(query)) & set(plain(query))) / LIMIT for query in queries]))
    label = "EFI" if COMPILED else "EFI (numpy)"
    rows = {label: _timed(ours, queries, options.rounds)}
    if COMPILED:
        with plain_numpy():
            rows["EFI (numpy)"] = _timed(ours, queries, options.rounds)
    rows["numpy float32"] = _timed(plain, queries, options.rounds)
    for figures in rows.values():
        figures["× numpy"] = (rows["numpy float32"]["p50 ms"] or 0) / (figures["p50 ms"] or 1)
        figures["bytes each"] = DIMENSION + DIMENSION // 8 + 4
    rows["numpy float32"]["bytes each"] = DIMENSION * 4
    rows[label] |= {"recall@10": recall, "put ms": put}
    return Report(f"Nearest {LIMIT} of {options.vectors:,} vectors", rows, passed=recall >= 0.95)


def _alike(count: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(SEED)
    centres = random.standard_normal((count // GROUP + 1, DIMENSION), dtype=np.float32)

    def near(which: np.ndarray) -> np.ndarray:
        made = centres[which] + 0.8 * random.standard_normal((len(which), DIMENSION), dtype=np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    return near(np.arange(count) // GROUP), near(random.integers(len(centres), size=queries))


def _timed(search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, rounds: int) -> Figures:
    """Of several rounds the quietest, for every engine alike."""
    return quietest(search, queries, rounds)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
