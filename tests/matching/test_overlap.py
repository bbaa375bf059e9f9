"""Shared keywords against a plain count: the channel reads marks in the postings that BM25 ranks with."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching import CardIndex, CardRecord, Case, bm25, kernels, segment, snapshot, storage
from matching.bm25 import Bm25
from matching.channels import KeywordChannel, OverlapChannel
from matching.channels.keyword import card_keywords
from matching.query import Query
from matching.text import terms

WORDS = ["brake", "pedal", "state of charge", "state", "charge", "hall sensor", "sensor", "48 v", "no", "water", "pump"]
"""Among them phrases that are one term, parts of these, and a word that is none."""
texts = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
phrases = st.lists(st.sampled_from([*WORDS, "wat", "ump", "never told"]), max_size=3).map(tuple)
cards = st.builds(CardRecord, st.just("fc"), title=texts, symptom_text=texts, description=texts, keywords=phrases)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(cards, st.booleans(), st.booleans()), min_size=1, max_size=60),
    texts,
    st.integers(1, 70),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_shared_keywords_are_counted(
    history: list[tuple[CardRecord, bool, bool]], text: str, limit: int, compiled: bool, random
) -> None:
    """Cards come, some go, and some of these come again, over blocks of which the first have become postings."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (segment, storage, bm25):
            patch.setattr(module, "BLOCK", 32)
        patch.setattr(segment, "TAIL", 4)
        if not compiled:
            for name in ("sweep", "exact", "lookup", "group"):
                patch.setattr(segment, name, getattr(kernels, f"_{name}"))
        keyword = KeywordChannel()
        overlap = OverlapChannel(keyword.engine)
        living: dict[int, CardRecord] = {}
        coming = [card for card, _, _ in history] + [card for card, goes, again in history if goes and again]
        leaving = [goes for _, goes, _ in history]
        for slot, card in enumerate(coming):
            keyword.add(slot, card)
            overlap.add(slot, card)
            living[slot] = card
            if slot < len(leaving) and leaving[slot]:
                keyword.remove(slot, card)
                overlap.remove(slot, card)
                del living[slot]
        query = Query(Case(text))
        shared = {slot: len(card_keywords(card) & query.keywords) for slot, card in living.items()}
        expected = np.zeros(len(coming), dtype=np.float32)
        for slot, count in shared.items():
            expected[slot] = min(0.8, 0.3 + 0.1 * count) if count else 0
        allowed = np.array([slot in living and random.random() < 0.9 for slot in range(len(coming))])
        favoured = np.flatnonzero([random.random() < 0.2 for _ in coming])

        np.testing.assert_allclose(overlap.score(query, np.arange(len(coming))), expected, atol=1e-6)
        hits = overlap.search(query, limit, allowed, favoured)
        best = sorted((s for s, n in shared.items() if n and allowed[s]), key=lambda s: (-shared[s], s))
        few = [slot for slot in best if slot in favoured]
        found = {slot: shared[slot] for slot in (*best[:limit], *few[:limit])}
        assert hits.slots.tolist() == sorted(found, key=lambda s: (-found[s], s))
        np.testing.assert_allclose(hits.scores, expected[hits.slots], atol=1e-6)
        for slot, card in living.items():
            reasons = overlap.explain(query, slot, float(expected[slot]))
            told = sorted(f"keyword “{query.surface(term)}”" for term in card_keywords(card) & query.keywords)
            assert sorted(reason.text for reason in reasons) == told
            assert sum(reason.contribution for reason in reasons) == pytest.approx(expected[slot])


@settings(max_examples=80, deadline=None)
@given(st.lists(cards, min_size=1, max_size=40), texts, st.sets(st.integers(0, 39), max_size=10))
def test_marks_change_nothing_of_bm25(added: list[CardRecord], text: str, removed: set[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "TAIL", 4)
        marked, plain = Bm25(), Bm25()
        for slot, card in enumerate(added):
            frequencies = dict.fromkeys(terms(card.title), 1.5)
            marked.add(slot, frequencies, card_keywords(card))
            plain.add(slot, frequencies)
        for slot in removed & set(range(len(added))):
            marked.remove(slot)
            plain.remove(slot)
        asked = dict.fromkeys(terms(text), 1.0)
        questions = marked.ask(asked), plain.ask(asked)
        slots, allowed = np.arange(len(added)), np.ones(len(added), dtype=bool)
        assert questions[0].ceiling == questions[1].ceiling
        assert marked.score(questions[0], slots).tolist() == plain.score(questions[1], slots).tolist()
        found = [engine.search(one, 5, allowed) for engine, one in zip((marked, plain), questions, strict=True)]
        assert [column.tolist() for column in found[0]] == [column.tolist() for column in found[1]]
        for slot in range(len(added)):
            assert marked.document(slot) == plain.document(slot)
            assert marked.parts(questions[0], slot) == plain.parts(questions[1], slot)
        assert [marked.frequency(term) for term in asked] == [plain.frequency(term) for term in asked]


@pytest.mark.parametrize(
    ("card", "asked"),
    [
        # Text that an earlier field holds is left out of the terms, but "ump" is no term of "pump".
        (CardRecord("fc", title="water pump", keywords=("ump",)), "ump"),
        # A card of which BM25 sees no word at all.
        (CardRecord("fc", title="should", keywords=("hould",)), "hould"),
        # Title and symptoms are read as one text: "state" and "of charge" are one term together.
        (CardRecord("fc", title="Strange state", symptom_text="of charge"), "state of charge"),
    ],
)
def test_keywords_that_bm25_does_not_see_are_shared_all_the_same(card: CardRecord, asked: str) -> None:
    index = CardIndex()
    index.upsert(card)
    query = index.prepare(Case(asked))
    assert index.overlap.score(query, np.array([0])).tolist() == [pytest.approx(0.4)]
    assert index.overlap.search(query, 5, index.alive.data).slots.tolist() == [0]
    assert index.keyword.score(query, np.array([0])).tolist() == [0]
    assert index.keyword.engine.frequency(query.terms[0]) == 0
    index.remove("fc")
    assert len(index.overlap.search(query, 5, index.alive.data)) == 0


def test_both_channels_share_one_engine_after_a_restart(index: CardIndex, tmp_path: Path) -> None:
    snapshot.save(index, tmp_path / "snapshot")
    loaded, _ = snapshot.load(tmp_path / "snapshot", index.embedder)
    assert loaded.overlap.engine is loaded.keyword.engine
    loaded.upsert(CardRecord("new", title="water in the pump"))
    query = loaded.prepare(Case("a pump with water"))
    best = loaded.overlap.search(query, 1, loaded.alive.data)
    assert loaded.ids_at(best.slots) == ["new"]
    assert best.scores[0] == pytest.approx(0.5)
