"""The two engines below the channels against plain reckoning, through random histories of adding and removing."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from matching import kernels
from matching.bm25 import Bm25
from matching.storage import Column, Postings, rank, top
from matching.vectors import VectorStore

VOCABULARY = [f"w{n}" for n in range(30)]
documents = st.lists(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=25), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(documents, st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_bm25_of_what_is_left_equals_the_reference(texts: list[list[str]], asked: list[str], random) -> None:
    engine = Bm25(k1=1.2, b=0.75)
    for slot, text in enumerate(texts):
        engine.add(slot, Counter(text))
    alive = np.array([random.random() < 0.7 for _ in texts])
    alive[0] = True
    for slot in np.flatnonzero(~alive).tolist():
        engine.remove(slot)
    kept = [text for text, stays in zip(texts, alive, strict=True) if stays]
    oracle = BM25Okapi(kept, k1=1.2, b=0.75)
    oracle.idf = {term: engine.idf(term) for term in oracle.idf}
    expected = np.zeros(len(texts))
    expected[alive] = oracle.get_scores(asked)
    question = engine.ask(Counter(asked))
    np.testing.assert_allclose(engine.score(question, np.arange(len(texts))), expected, rtol=1e-3, atol=1e-6)
    slots, scores = engine.search(question, 5, alive)
    assert alive[slots].all()
    np.testing.assert_allclose(scores, np.sort(expected[expected > 0])[::-1][: len(slots)], rtol=1e-3)
    for slot in slots:
        assert sum(share for _, share in engine.parts(question, int(slot))) == pytest.approx(expected[slot], rel=1e-3)


def test_bm25_forgets_dead_postings() -> None:
    engine = Bm25()
    for slot in range(1000):
        engine.add(slot, {"brake": 1.0, f"own{slot}": 1.0})
        if slot >= 10:
            engine.remove(slot - 10)
    assert engine.frequency("brake") == 10
    assert engine._slots[0].size < 40
    assert engine.search(engine.ask({"brake": 1.0}), 100, np.ones(1000, dtype=bool))[0].tolist() == list(
        range(990, 1000)
    )


@pytest.mark.parametrize("count", [1, 40, 3000])
def test_vectors_are_found_as_exactly_as_bytes_allow(count: int) -> None:
    random = np.random.default_rng(count)
    # Groups of alike vectors, as texts form them: among purely random ones no neighbour is nearer than the rest.
    centres = random.standard_normal((count // 15 + 1, 128))
    vectors = (centres[np.arange(count) // 15] + 0.4 * random.standard_normal((count, 128))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = VectorStore(128)
    for slot, vector in enumerate(vectors):
        store.put(slot, vector)
    store.put(0, np.zeros(128, dtype=np.float32))
    allowed = np.ones(count, dtype=bool)
    hits = possible = 0.0
    for _ in range(20):
        near = vectors[random.integers(count)] + 0.02 * random.standard_normal(128).astype(np.float32)
        wanted = (near / np.linalg.norm(near)).astype(np.float32)
        exact = vectors @ wanted
        exact[0] = 0
        slots, scores = store.search(wanted, 10, allowed)
        np.testing.assert_allclose(scores, exact[slots], atol=0.01)
        best = set(np.argsort(-exact)[:10]) & set(np.flatnonzero(exact > 0))
        hits += len(best & set(slots.tolist())) / max(1, len(best))
        possible += bool(best)
        assert store.typical(wanted) == pytest.approx(exact[1:].mean() if count > 1 else 0, abs=0.01)
    assert hits >= 0.95 * possible


def test_odd_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        VectorStore(100)


def test_compiled_and_plain_kernels_agree() -> None:
    random = np.random.default_rng(0)
    rows = random.integers(0, 1 << 63, (40_000, 6), dtype=np.uint64)
    wanted = random.integers(0, 1 << 63, 6, dtype=np.uint64)
    compiled, plain = np.empty(40_000, dtype=np.uint16), np.empty(40_000, dtype=np.uint16)
    kernels.hamming(rows, wanted, compiled)
    kernels._hamming(rows, wanted, plain)
    expected = [sum(int(word).bit_count() for word in row ^ wanted) for row in rows[:50]]
    assert compiled.tolist() == plain.tolist()
    assert plain[:50].tolist() == expected
    slots = np.flatnonzero(random.random(5000) < 0.3).astype(np.int32)
    impacts = random.integers(1, 256, len(slots)).astype(np.uint8)
    first, second = np.ones(5000, dtype=np.float32), np.ones(5000, dtype=np.float32)
    kernels.accumulate(first, slots, impacts, np.float32(0.37))
    kernels._accumulate(second, slots, impacts, np.float32(0.37))
    np.testing.assert_allclose(first, second, rtol=1e-5)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=80),
    st.integers(1, 12),
    st.lists(st.integers(0, 79), max_size=20, unique=True),
)
def test_top_and_rank_choose_the_best_by_score_and_slot(values: list[int], limit: int, group: list[int]) -> None:
    scores = np.array(values, dtype=np.float32)
    allowed = np.arange(len(scores)) % 3 != 0
    favoured = np.array(sorted(slot for slot in group if slot < len(scores)), dtype=np.int64)

    def best(slots: list[int]) -> list[int]:
        return sorted((s for s in slots if scores[s] > 0 and allowed[s]), key=lambda s: (-scores[s], s))[:limit]

    everything = best(list(range(len(scores))))
    assert top(scores, limit, allowed).tolist() == everything
    wanted = sorted({*everything, *best(favoured.tolist())}, key=lambda s: (-scores[s], s))
    found = top(scores, limit, allowed, favoured)
    assert found.tolist() == wanted
    assert rank(found, scores[found], limit, favoured)[0].tolist() == wanted


def test_top_of_many_is_exact() -> None:
    scores = np.random.default_rng(1).random(200_000).astype(np.float32)
    allowed = np.random.default_rng(2).random(200_000) < 0.5
    expected = np.argsort(-np.where(allowed, scores, 0), kind="stable")[:100]
    assert top(scores, 100, allowed).tolist() == expected.tolist()


def test_columns_grow_and_keep_their_fill() -> None:
    column = Column(np.float32, fill=-1)
    column[5] = 3
    column.append(4)
    column.extend(np.array([5, 6]))
    assert column.data.tolist() == [-1, -1, -1, -1, -1, 3, 4, 5, 6]
    column.replace(np.array([7]))
    assert column.data.tolist() == [7]


def test_postings_forget_unused_keys() -> None:
    postings = Postings()
    postings.add(1, ("a", "b"))
    postings.add(4, ("a",))
    postings.remove(1, ("a", "b"))
    assert postings.slots("a").tolist() == [4]
    assert postings.lists.keys() == {"a"}
    assert postings.frequency("b") == 0
