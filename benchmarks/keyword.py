"""The keyword engine beside rank-bm25, bm25s and tantivy (the last two where installed) on the same terms and queries.

Parity is measured against BM25 reckoned exactly over all texts by the engine's own formula in double precision.
"""

import argparse
import importlib.util
import math
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rank_bm25 import BM25Okapi

from benchmarks import corpus
from benchmarks.plain import plain_numpy
from benchmarks.report import Figures, Report, quietest
from matching.bm25 import Bm25
from matching.kernels import COMPILED
from matching.text import terms

K1, B = 1.2, 0.75
LIMIT = 10
SLOW_QUERIES = 10
"""Queries asked of rank-bm25, which takes seconds for each at a million texts."""
CHANGES = 500
MANY = 200_000
"""Texts from which on speed is compared; with fewer, every engine answers before anybody can tell."""

Search = Callable[[list[str]], np.ndarray]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=Path, help="JSON lines with a field `text` to take sentences from, may be .gz")


def run(options: argparse.Namespace) -> Report:
    known = corpus.sentences(options.texts)
    _say("making texts")
    texts = list(corpus.term_texts(options.cards, known))
    queries = [terms(case.text) for case in corpus.cases(options.queries, known)]
    engine = Bm25(K1, B)
    rows: dict[str, Figures] = {}

    def measured(label: str, make: Callable[[], Search], asked: list[list[str]]) -> Search:
        _say(label)
        started = time.perf_counter()
        search = make()
        built = time.perf_counter() - started
        rows[label] = _timed(search, asked, options.rounds) | {"build s": built}
        return search

    label = "EFI" if COMPILED else "EFI (numpy)"
    ours = measured(label, lambda: _ours(engine, texts), queries)
    rows[label]["same top 1"] = _parity(ours, texts, queries)
    if COMPILED:
        with plain_numpy():
            measured("EFI (numpy)", lambda: _ours(Bm25(K1, B), texts), queries)
    for name, peer in (("bm25s", _bm25s), ("tantivy", _tantivy)):
        if importlib.util.find_spec(name) is not None:
            measured(name, lambda peer=peer: peer(texts), queries)
    measured("rank-bm25", lambda: _rank_bm25(texts), queries[:SLOW_QUERIES])
    rows[label] |= _changes(engine, texts)
    for figures in rows.values():
        figures["× rank-bm25"] = (rows["rank-bm25"]["p50 ms"] or 0) / (figures["p50 ms"] or 1)
    return _report(options.cards, label, rows)


def _report(cards: int, label: str, rows: dict[str, Figures]) -> Report:
    own = rows[label]["p50 ms"] or 0
    passed = rows[label]["same top 1"] == 1
    notes = ["Required: the exact best text first for every query."]
    if cards >= MANY:
        passed &= all(own <= (rows[peer]["p50 ms"] or 0) for peer in ("bm25s", "tantivy") if peer in rows)
        notes = ["Required: the exact best text first for every query, and no peer faster at the median."]
    return Report(f"Best {LIMIT} of {cards:,} texts by BM25", rows, notes, passed)


def _ours(engine: Bm25, texts: list[list[str]]) -> Search:
    for slot, text in enumerate(texts):
        engine.add(slot, Counter(text))
    allowed = np.ones(len(texts), dtype=bool)
    return lambda query: engine.search(engine.ask(Counter(query)), LIMIT, allowed)[0]


def _timed(search: Search, queries: list[list[str]], rounds: int) -> Figures:
    """Of several rounds the quietest, for every engine alike."""
    search(queries[0])
    return quietest(search, queries, rounds)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parity(search: Search, texts: list[list[str]], queries: list[list[str]]) -> float:
    """Share of queries whose best text is one of the best by exact reckoning (equal texts tie)."""
    lengths = np.array([len(text) for text in texts], dtype=float)
    norms = K1 * (1 - B + B * lengths / lengths.mean())
    wanted = {term for query in queries for term in query}
    where = {term: (array("i"), array("i")) for term in wanted}
    for slot, text in enumerate(texts):
        for term, count in Counter(text).items():
            if term in wanted:
                where[term][0].append(slot)
                where[term][1].append(count)
    same = 0
    for query in queries:
        scores = np.zeros(len(texts))
        for term, weight in Counter(query).items():
            slots, counts = map(np.asarray, where[term])
            if len(slots):
                idf = math.log(1 + (len(texts) - len(slots) + 0.5) / (len(slots) + 0.5))
                scores[slots] += weight * idf * (K1 + 1) * counts / (counts + norms[slots])
        found = search(query)
        same += bool(len(found)) and math.isclose(scores[found[0]], scores.max(), rel_tol=1e-5)
    return same / len(queries)


def _changes(engine: Bm25, texts: list[list[str]]) -> Figures:
    started = time.perf_counter()
    for number in range(CHANGES):
        engine.add(len(texts) + number, Counter(texts[number % len(texts)]))
    added = time.perf_counter()
    for number in range(CHANGES):
        engine.remove(len(texts) + number)
    removed = time.perf_counter()
    return {"add ms": (added - started) / CHANGES * 1000, "remove ms": (removed - added) / CHANGES * 1000}


def _rank_bm25(texts: list[list[str]]) -> Search:
    peer = BM25Okapi(texts, k1=K1, b=B)
    return lambda query: np.argsort(-peer.get_scores(query))[:LIMIT]


def _bm25s(texts: list[list[str]]) -> Search:
    import bm25s

    peer = bm25s.BM25(k1=K1, b=B, backend="numba" if importlib.util.find_spec("numba") else "numpy")
    peer.index(texts, show_progress=False)

    def search(query: list[str]) -> np.ndarray:
        known = [[term for term in query if term in peer.vocab_dict]]
        return peer.retrieve(known, k=LIMIT, show_progress=False, n_threads=0)[0][0]

    return search


def _tantivy(texts: list[list[str]]) -> Search:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="whitespace")
    index = tantivy.Index(builder.build())
    writer: Any = index.writer(heap_size=256_000_000, num_threads=1)
    for text in texts:
        writer.add_document(tantivy.Document(text=[" ".join(text)]))
    writer.commit()
    index.reload()
    searcher, schema = index.searcher(), index.schema

    def search(query: list[str]) -> np.ndarray:
        clauses = [(tantivy.Occur.Should, tantivy.Query.term_query(schema, "text", term)) for term in query]
        hits = searcher.search(tantivy.Query.boolean_query(clauses), LIMIT).hits
        return np.array([address.doc for _, address in hits])

    return search
