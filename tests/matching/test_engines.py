"""The two engines below the channels against plain reckoning, through random histories of adding and removing."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from matching import bm25, kernels, segment, storage, vectors
from matching import slots as slots_module
from matching.bm25 import Bm25
from matching.ids import CardIds
from matching.slots import Slots
from matching.storage import Column, Interned, Postings, by_block, rank
from matching.vectors import VectorStore

VOCABULARY = [f"w{n}" for n in range(30)]
documents = st.lists(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=25), min_size=2, max_size=60)


@settings(max_examples=60)
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


@pytest.fixture(params=[pytest.param(True, id="compiled"), pytest.param(False, id="numpy")])
def kernels_in_use(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engines with the compiled kernels and with those of numpy."""
    if not request.param:
        for name in ("sweep", "exact", "lookup", "group"):
            monkeypatch.setattr(segment, name, getattr(kernels, f"_{name}"))
        for name in ("hamming", "cosines"):
            monkeypatch.setattr(vectors, name, getattr(kernels, f"_{name}"))
    elif not kernels.COMPILED:
        pytest.skip("the inner loops are not compiled")


def random_texts(count: int, *, words: int, seed: int) -> list[dict[str, float]]:
    random = np.random.default_rng(seed)
    return [
        {
            f"w{word}": float(n) / 2
            for word, n in Counter((random.zipf(1.3, random.integers(5, 40)) % words).tolist()).items()
        }
        for _ in range(count)
    ]


@pytest.mark.usefixtures("kernels_in_use")
def test_the_best_of_several_blocks_are_found_for_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (segment, storage, bm25):
        monkeypatch.setattr(module, "BLOCK", 1024)
    texts = random_texts(3500, words=700, seed=3)
    engine = Bm25(k1=1.2, b=0.75)
    for slot, text in enumerate(texts):
        # The first texts are long: impacts written then bound badly and are reckoned anew.
        engine.add(slot, {term: 8 * n for term, n in text.items()} if slot < 300 else text)
    random = np.random.default_rng(4)
    for slot in random.choice(len(texts), 700, replace=False).tolist():
        engine.remove(slot)
    allowed = random.random(len(texts)) < 0.9
    favoured = np.flatnonzero(random.random(len(texts)) < 0.02)
    for text in random_texts(40, words=900, seed=5):
        asked = engine.ask(text)
        every = engine.score(asked, np.arange(len(texts)))
        best = np.lexsort((np.arange(len(texts)), -every))
        best = best[allowed[best] & (every[best] > 0)]
        slots, scores = engine.search(asked, 50, allowed)
        np.testing.assert_array_equal(scores, every[best[:50]])
        np.testing.assert_array_equal(slots, best[:50])
        few = best[np.isin(best, favoured)][:50]
        assert set(engine.search(asked, 50, allowed, favoured)[0].tolist()) == {*best[:50].tolist(), *few.tolist()}


def test_compiled_and_plain_search_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Bm25()
    for slot, text in enumerate(random_texts(2000, words=300, seed=1)):
        engine.add(slot, text)
    allowed = np.ones(2000, dtype=bool)
    questions = [engine.ask(text) for text in random_texts(30, words=300, seed=2)]
    compiled = [engine.search(asked, 20, allowed) for asked in questions]
    monkeypatch.setattr(segment, "sweep", kernels._sweep)
    monkeypatch.setattr(segment, "exact", kernels._exact)
    for asked, (slots, scores) in zip(questions, compiled, strict=True):
        plain = engine.search(asked, 20, allowed)
        np.testing.assert_allclose(plain[1], scores, rtol=1e-5)
        assert plain[0].tolist() == slots.tolist()


def test_blocks_with_very_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """More terms than sixteen bits can number."""
    engine = Bm25()
    for slot in range(700):
        engine.add(slot, {"brake": 1.0} | {f"own{slot}_{n}": 1.0 for n in range(100)})
    asked = engine.ask({"own699_99": 1.0, "own3_1": 1.0, "brake": 1.0})
    assert engine.search(asked, 2, np.ones(700, dtype=bool))[0].tolist() == [3, 699]


@pytest.mark.usefixtures("kernels_in_use")
@pytest.mark.parametrize("count", [20_000, 32_767, 32_768, 60_000])
def test_questions_of_very_many_words(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Units of a bound are few for each of so many terms."""
    monkeypatch.setattr(segment, "TAIL", 4)
    engine, many = Bm25(), {f"w{n}": 1.0 for n in range(count)}
    for slot, words in enumerate((["w1"], [*many], ["w1", "w2"], ["w3"])):
        engine.add(slot, dict.fromkeys(words, 1.0), words[:1000])
    allowed = np.ones(4, dtype=bool)
    for asked in (engine.ask(many), engine.ask_marked(many)):
        every = engine.score(asked, np.arange(4))
        slots, scores = engine.search(asked, 2, allowed)
        assert slots.tolist() == np.lexsort((np.arange(4), -every))[:2].tolist()
        assert scores.tolist() == every[slots].tolist()


def test_a_released_block_takes_no_memory_and_is_filled_again() -> None:
    engine = Bm25()
    for slot in range(100):
        engine.add(slot, {"brake": 1.0, f"own{slot}": 1.0})
    for slot in range(100):
        engine.remove(slot)
    engine.release(0)
    assert list(engine.settled()) == []
    assert engine.frequency("brake") == 0
    engine.add(0, {"brake": 1.0})
    assert engine.search(engine.ask({"brake": 1.0}), 5, np.ones(1, dtype=bool))[0].tolist() == [0]


@pytest.mark.usefixtures("kernels_in_use")
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


def test_hamming_counts_bits() -> None:
    random = np.random.default_rng(0)
    rows = random.integers(0, 1 << 63, (40_000, 6), dtype=np.uint64)
    wanted = random.integers(0, 1 << 63, 6, dtype=np.uint64)
    allowed, scales = random.random(40_000) < 0.9, random.random(40_000, dtype=np.float32)
    scales[::7] = 0
    usable = allowed & (scales > 0)
    found = []
    for kernel in (kernels.hamming, kernels._hamming):
        distances, counts = np.empty(40_000, dtype=np.uint16), np.zeros(385, dtype=np.int64)
        kernel(rows, wanted, allowed, scales, distances, counts)
        found.append(distances)
        assert counts.tolist() == np.bincount(distances[usable], minlength=385).tolist()
    assert found[0].tolist() == found[1].tolist()
    expected = [sum(int(word).bit_count() for word in row ^ wanted) for row in rows[:50]]
    assert found[0][:50].tolist() == np.where(usable[:50], expected, 0xFFFF).tolist()


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=80),
    st.integers(1, 12),
    st.lists(st.integers(0, 79), max_size=20, unique=True),
)
def test_rank_chooses_the_best_by_score_and_slot(values: list[int], limit: int, group: list[int]) -> None:
    scores = np.array(values, dtype=np.float32)
    favoured = np.array(sorted(slot for slot in group if slot < len(scores)), dtype=np.int64)
    slots = np.random.default_rng(0).permutation(len(scores))

    def best(slots: list[int]) -> list[int]:
        return sorted((s for s in slots if scores[s] > 0), key=lambda s: (-scores[s], s))[:limit]

    everything = best(list(range(len(scores))))
    assert rank(slots, scores[slots], limit)[0].tolist() == everything
    wanted = sorted({*everything, *best(favoured.tolist())}, key=lambda s: (-scores[s], s))
    assert rank(slots, scores[slots], limit, favoured)[0].tolist() == wanted


def test_slots_by_block_in_any_order() -> None:
    slots = np.array([70_000, 5, 32_768, 6, 32_767], dtype=np.int32)
    found = [(block, slots[where].tolist(), places.tolist()) for block, where, places in by_block(slots)]
    assert found == [(0, [5, 6, 32_767], [5, 6, 32_767]), (1, [32_768], [0]), (2, [70_000], [70_000 - 65_536])]
    assert list(by_block(np.empty(0))) == []


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


def test_postings_take_slots_in_any_order() -> None:
    postings = Postings()
    for slot in (7, 3, 9, 5):
        postings.add(slot, ("a",))
    assert postings.slots("a").tolist() == [3, 5, 7, 9]


def test_what_is_interned_lives_as_long_as_it_is_used() -> None:
    interned = Interned()
    for slot in range(3):
        assert interned.put(slot, ("E401",), list) == ["E401"]
    interned.put(7, ("E402",), list)
    assert interned.at(np.array([0, 5, 7, 99])) == [(0, ["E401"]), (2, ["E402"])]
    assert interned.pop(7) == ["E402"]
    assert (interned.get(7), interned.pop(7), len(interned)) == (None, None, 3)
    # Its number is used again, the key forgotten.
    assert interned.put(9, ("E403",), list) == ["E403"]
    assert len(interned._made) == 3


ids = st.text("abc_0123456789é", min_size=1, max_size=40)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), ids), max_size=300))
def test_card_ids_are_a_mapping(changes: list[tuple[bool, str]]) -> None:
    known, expected = CardIds(), dict[str, int]()
    for slot, (comes, card_id) in enumerate(changes):
        if comes and card_id not in expected:
            known.put(card_id, slot)
            expected[card_id] = slot
        elif not comes:
            assert known.pop(card_id) == expected.pop(card_id, None)
    assert len(known) == len(expected)
    assert {card_id: known.slot(card_id) for _, card_id in changes} == {i: expected.get(i) for _, i in changes}
    assert known.slots().tolist() == sorted(expected.values())
    assert known.at(np.array(list(expected.values()), dtype=np.int64)) == list(expected)


@pytest.mark.parametrize("card_id", ["", "fc\0"])
def test_what_is_no_card_id(card_id: str) -> None:
    with pytest.raises(ValueError, match="not a card id"):
        CardIds().put(card_id, 0)


def test_emptied_blocks_are_filled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "BLOCK", 4)
    monkeypatch.setattr(slots_module, "SPARSE", 2)
    slots = Slots()
    assert [slots.take() for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    assert [slots.drop(slot) for slot in (0, 1)] == [None, None]
    assert slots.thin() is None
    assert slots.drop(3) is None
    assert slots.thin() == 0
    assert slots.drop(2) == 0
    assert slots.thin() is None
    assert [slots.take() for _ in range(4)] == [6, 7, 0, 1]
