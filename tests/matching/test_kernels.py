"""The compiled loops against those of numpy: the same results, and no access beyond what they are given."""

import ctypes
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching import kernels, native

compiled = pytest.mark.skipif(not kernels.COMPILED, reason="the inner loops are not compiled")

TERMS = 12
VALUE_OF = np.arange(1 << 16, dtype=np.float32)
SHARE_OF = np.arange(1 << 8, dtype=np.float32) / 255
SIZE = 90
"""Documents of a block: more than one chunk of the loops, and not a multiple of it."""
SEEDS = st.integers(0, 1 << 32)


class Block:
    """A block of documents with everything that the loops ask for, at random.

    Frequencies of 0, 1 and 3 with a norm of 1 make 0, ½ and ¾ of whole weights, so sums are exact and ties are many.
    """

    def __init__(self, seed: int) -> None:
        random = self.random = np.random.default_rng(seed)
        self.wide = random.random() < 0.3
        self.size = int(random.integers(1, SIZE + 1))
        documents = [np.flatnonzero(random.random(TERMS) < 0.4) for _ in range(self.size)]
        counts = np.array([len(document) for document in documents])
        terms = np.concatenate(documents)
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self.terms = terms.astype(np.int32 if self.wide else np.uint16)
        frequencies = random.choice([0, 1, 3], len(terms))
        self.values = frequencies.astype(np.uint16)
        self.lengths = (random.random(self.size) < 0.9).astype(np.float32) * 7  # removed ones have 0
        order = np.argsort(terms, kind="stable")
        self.heads = np.concatenate([[0], np.cumsum(np.bincount(terms, minlength=TERMS))]).astype(np.int32)
        self.places = np.repeat(np.arange(self.size), counts)[order].astype(np.uint16)
        self.impacts = np.ceil(255 * frequencies / (frequencies + 1)).astype(np.uint8)[order]
        self.allowed = random.random(self.size) < 0.8
        self.only = np.flatnonzero(random.random(self.size) < 0.3)

    def documents(self, table: np.ndarray) -> tuple[Any, ...]:
        return (
            table, self.starts, self.terms, self.values, self.lengths, np.float32(1), np.float32(0), VALUE_OF,
        )  # fmt: skip


def sweeps(sweep: Any, seed: int) -> list[dict[int, float]]:
    """The best of three blocks, and the best of their groups, as score by slot."""
    limit = seed % 7 + 1
    best, group = np.zeros(limit, np.float32), np.zeros(limit, np.float32)
    slots, group_slots = np.zeros(limit, np.int64), np.zeros(limit, np.int64)
    counts = np.zeros(2, np.int64)
    for number in range(3):
        block = Block(seed + number)
        numbers = np.flatnonzero(block.random.random(TERMS) < 0.5).astype(np.int32)
        weights = block.random.integers(1, 5 if seed % 3 else 2, len(numbers)).astype(np.float32)
        if not len(numbers):
            continue
        table, bounds = np.zeros(TERMS, np.float32), np.zeros(block.size, np.uint16)
        start, stop = sorted(block.random.integers(0, block.size + 1, 2).tolist()) if number == 1 else (0, block.size)
        runs = [(start, stop, block.heads, block.places, block.impacts)]
        if number == 1:
            # Postings of a part of the documents, and the rest scored as they are.
            inside = (block.places >= start) & (block.places < stop)
            heads = np.concatenate([[0], np.cumsum(inside)])[block.heads].astype(np.int32)
            runs = [(start, stop, heads, block.places[inside], block.impacts[inside])]
            runs.append((stop, block.size, np.empty(0, np.int32), np.empty(0, np.uint16), np.empty(0, np.uint8)))
        for run in runs:
            sweep(
                numbers, weights, *run, SHARE_OF, np.float32(1), bounds, *block.documents(table), block.allowed,
                block.only, number * SIZE, best, slots, group, group_slots, counts,
            )  # fmt: skip
        assert not table.any()
    found = counts.tolist()
    return [
        dict(zip(slots[: found[0]].tolist(), best[: found[0]].tolist(), strict=True)),
        dict(zip(group_slots[: found[1]].tolist(), group[: found[1]].tolist(), strict=True)),
    ]


@compiled
@settings(max_examples=300)
@given(SEEDS)
def test_sweep_finds_the_same_best(seed: int) -> None:
    assert sweeps(kernels.sweep, seed) == sweeps(kernels._sweep, seed)


@compiled
@given(SEEDS)
def test_exact_scores_are_the_same(seed: int) -> None:
    block = Block(seed)
    chosen = block.random.integers(0, block.size, seed % 20)
    table = block.random.integers(0, 4, TERMS).astype(np.float32)
    ours, plain = np.empty(len(chosen), np.float32), np.empty(len(chosen), np.float32)
    kernels.exact(ours, chosen, *block.documents(table))
    kernels._exact(plain, chosen, *block.documents(table))
    np.testing.assert_array_equal(ours, plain)


@compiled
@given(st.sets(st.integers(-5, 40)), st.lists(st.integers(-9, 50), max_size=30))
def test_lookup_finds_the_same_places(known: set[int], names: list[int]) -> None:
    arrays = np.array(sorted(known), np.int32), np.array(names, np.int32), np.arange(len(names), dtype=np.float32)
    found = []
    for lookup in (kernels.lookup, kernels._lookup):
        numbers, weights = np.zeros(len(names), np.int32), np.zeros(len(names), np.float32)
        count = lookup(*arrays, numbers, weights)
        found.append((count, numbers[:count].tolist(), weights[:count].tolist()))
    assert found[0] == found[1]


@compiled
@given(SEEDS)
def test_group_orders_the_same(seed: int) -> None:
    block = Block(seed)
    ours, plain = np.empty(len(block.terms), np.int64), np.empty(len(block.terms), np.int64)
    kernels.group(block.terms, block.heads[:-1].copy(), ours)
    kernels._group(block.terms, block.heads[:-1].copy(), plain)
    assert ours.tolist() == plain.tolist()


def vectors(seed: int, dimension: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Arguments of `hamming` and of `cosines` but for the last, their results."""
    random = np.random.default_rng(seed)
    size = seed % 200
    signs = random.integers(0, 1 << 63, (size, dimension // 64), dtype=np.uint64)
    scales = random.random(size, dtype=np.float32) * (random.random(size) < 0.9)
    rows = random.integers(-127, 128, (size, dimension)).astype(np.int8)
    chosen = random.integers(0, size, 30) if size else np.empty(0, np.int64)
    wanted = random.standard_normal(dimension, dtype=np.float32)
    asked = random.integers(0, 1 << 63, dimension // 64, dtype=np.uint64)
    return (signs, asked, random.random(size) < 0.8, scales), (rows, chosen, scales, wanted)


@compiled
@given(SEEDS, st.sampled_from([64, 128, 384, 1536]))
def test_vectors_are_as_far_and_as_near(seed: int, dimension: int) -> None:
    far, near = vectors(seed, dimension)
    found = []
    for hamming in (kernels.hamming, kernels._hamming):
        distances, counts = np.empty(len(far[0]), np.uint16), np.ones(dimension + 1, np.int64)
        hamming(*far, distances, counts)
        found.append((distances.tolist(), counts.tolist()))
    assert found[0] == found[1]
    ours, plain = np.empty(len(near[1]), np.float32), np.empty(len(near[1]), np.float32)
    kernels.cosines(*near, ours)
    kernels._cosines(*near, plain)
    np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-3 * dimension**0.5)


@compiled
def test_threads_do_not_disturb_each_other() -> None:
    seeds = range(200)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda seed: sweeps(kernels.sweep, seed), seeds)) == [
            sweeps(kernels._sweep, seed) for seed in seeds
        ]


SOUND = {
    "lookup": lambda: [
        np.arange(3, dtype=np.int32), np.arange(2, dtype=np.int32), np.ones(2, np.float32), np.zeros(2, np.int32),
        np.zeros(2, np.float32),
    ],
    "group": lambda: [np.zeros(2, np.uint16), np.zeros(1, np.int32), np.zeros(2, np.int64)],
    "hamming": lambda: [*vectors(50, 384)[0], np.zeros(50, np.uint16), np.zeros(385, np.int64)],
    "cosines": lambda: [*vectors(50, 384)[1], np.zeros(30, np.float32)],
    "exact": lambda: [np.zeros(1, np.float32), np.zeros(1, np.int64), *Block(1).documents(np.zeros(TERMS, np.float32))],
    "sweep": lambda: [
        np.zeros(1, np.int32), np.ones(1, np.float32), 0, Block(1).size, Block(1).heads, Block(1).places,
        Block(1).impacts, SHARE_OF, 1.0, np.zeros(Block(1).size, np.uint16),
        *Block(1).documents(np.zeros(TERMS, np.float32)), Block(1).allowed, np.zeros(0, np.int64), 0,
        np.zeros(2, np.float32), np.zeros(2, np.int64), np.zeros(2, np.float32), np.zeros(2, np.int64),
        np.zeros(2, np.int64),
    ],
}  # fmt: skip
"""Arguments that every loop takes."""


@compiled
@pytest.mark.parametrize("name", SOUND)
def test_the_number_of_arguments_is_checked(name: str) -> None:
    getattr(kernels, name)(*SOUND[name]())
    with pytest.raises(TypeError, match="too few"):
        getattr(kernels, name)(*SOUND[name]()[:-1])
    with pytest.raises(TypeError, match="too many"):
        getattr(kernels, name)(*SOUND[name](), 0)


@compiled
@pytest.mark.parametrize(("name", "place"), [(name, i) for name in SOUND for i in range(len(SOUND[name]()))])
def test_what_is_no_such_array_is_refused(name: str, place: int) -> None:
    right = SOUND[name]()[place]
    wrong = [None, "text"]
    if isinstance(right, np.ndarray):
        wrong += [7, right[None], right.tolist()] + [
            np.zeros(right.shape, dtype) for dtype in (np.float64, ">f4", ">u2", "c8")
        ]
        unaligned = np.zeros(right.nbytes + 1, np.uint8)[1:].view(right.dtype).reshape(right.shape)
        wrong += [unaligned] if right.itemsize > 1 and right.size else []
        wrong += [np.repeat(right, 2, axis=-1)[..., ::2]] if right.shape[-1] > 1 else []
    for argument in wrong:
        arguments = SOUND[name]()
        arguments[place] = argument
        with pytest.raises((TypeError, ValueError)):
            getattr(kernels, name)(*arguments)


SIZED = {
    "lookup": (1, 2, 3, 4), "group": (0, 1, 2), "hamming": (0, 1, 2, 3, 4, 5), "cosines": (1, 3, 4),
    "exact": (0, 1, 3, 4, 5, 9), "sweep": (0, 1, 5, 6, 7, 9, 11, 12, 13, 14, 17, 18, 21, 22, 23, 24, 25),
}  # fmt: skip
"""The arguments that must not be shorter."""


@compiled
@pytest.mark.parametrize(("name", "place"), [(name, place) for name, places in SIZED.items() for place in places])
def test_arrays_that_are_too_short_are_refused(name: str, place: int) -> None:
    arguments = SOUND[name]()
    arguments[place] = arguments[place][:-1].copy()
    with pytest.raises((ValueError, IndexError)):
        getattr(kernels, name)(*arguments)


@compiled
@pytest.mark.parametrize(("name", "place", "wrong"), [
    ("cosines", 1, 50), ("cosines", 1, -1), ("exact", 1, Block(1).size), ("exact", 1, -1), ("group", 0, 1),
    ("group", 1, 2), ("group", 1, -1), ("sweep", 0, TERMS), ("sweep", 0, -1), ("sweep", 25, 3), ("sweep", 25, -1),
])  # fmt: skip
def test_places_beyond_the_end_are_refused(name: str, place: int, wrong: int) -> None:
    arguments = SOUND[name]()
    arguments[place] = arguments[place].copy()
    arguments[place][0] = wrong
    with pytest.raises((IndexError, OverflowError)):
        getattr(kernels, name)(*arguments)


@compiled
@pytest.mark.parametrize(("start", "stop"), [(-1, 1), (1, 0), (0, Block(1).size + 1), (0, 1 << 70)])
def test_documents_beyond_the_block_are_refused(start: int, stop: int) -> None:
    arguments = SOUND["sweep"]()
    arguments[2:4] = start, stop
    with pytest.raises((IndexError, OverflowError)):
        kernels.sweep(*arguments)


@compiled
def test_results_are_not_written_where_nothing_may_be() -> None:
    arguments = SOUND["lookup"]()
    arguments[3].flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        kernels.lookup(*arguments)


def test_a_library_of_another_source_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(native.SOURCE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    here = native.location()
    monkeypatch.setattr(native, "SOURCE", tmp_path)
    assert native.location() == here
    (tmp_path / "loops.h").write_text("/* changed */", encoding="utf-8")
    assert native.location() != here
    assert native.load.__wrapped__() is None


@pytest.mark.parametrize("content", [None, b"no library"])
def test_without_a_library_numpy_serves(content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kernels.so"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(native, "location", lambda: path)
    assert native.load.__wrapped__() is None


def test_a_library_without_our_functions_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "PyDLL", lambda _: object())
    assert native.load.__wrapped__() is None


def test_a_failing_compiler_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "location", lambda: tmp_path / "lib" / "kernels.so")
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with pytest.raises(subprocess.CalledProcessError):
        native.build()
    assert list((tmp_path / "lib").iterdir()) == []
