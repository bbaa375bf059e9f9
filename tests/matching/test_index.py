"""The index as its owner uses it: revisions, and a change of embedder while cards come and go."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from matching import (
    CardIndex,
    CardRecord,
    Case,
    HashingEmbedder,
    Matcher,
    Vehicle,
    VehicleRange,
    bm25,
    record_store,
    segment,
    slots,
    storage,
    vectors,
)
from tests.matching.conftest import CARDS


class SlowEmbedder(HashingEmbedder):
    """Waits at its first text until told to go on, as a model of hours would, and may break down then."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(128)
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.error = error

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.reached.set()
        assert self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        return super().embed(texts)


def semantic_hits(index: CardIndex, text: str) -> dict[str, float]:
    result = Matcher(index).match(Case(text), scorer="calibrated", traced=True)
    return next(dict(step.hits) for step in result.trace if step.name == "semantic")


def test_revisions_are_kept_per_card(index: CardIndex) -> None:
    assert index.revision("fc_hall") == 7
    assert index.revision("fc_bms") == 0
    assert index.revision("fc_unheard_of") is None
    index.upsert(replace(CARDS[0], revision=3))
    index.remove("fc_hall")
    assert index.revision("fc_hall") is None
    assert index.revisions() == {"fc_bms": 3, "fc_iso": 0, "fc_blank": 0, "fc_draft": 0}


def test_the_revision_is_no_part_of_what_a_card_says() -> None:
    assert replace(CARDS[0], revision=3) == CARDS[0]


def test_a_new_embedder_takes_over_with_all_that_changed_meanwhile(index: CardIndex) -> None:
    other = SlowEmbedder()
    steps: list[tuple[int, int]] = []
    thread = threading.Thread(target=index.reembed, args=(other, lambda done, total: steps.append((done, total))))
    thread.start()
    assert other.reached.wait(20)
    # The former vectors serve, and cards come, change and go.
    prepared = index.prepare(Case("coolant pump noise"))
    assert Matcher(index).match(Case("hall sensor")).embedder == "hashing-384-v1"
    assert "fc_hall" in semantic_hits(index, "motor hall sensor failure")
    index.remove("fc_hall")
    index.upsert(replace(CARDS[0], title="Throttle sensor drift", symptom_text="", root_cause=""))
    index.upsert(CardRecord("fc_new", title="Coolant pump noise"))
    other.go_on.set()
    thread.join(20)
    assert not thread.is_alive()
    assert steps[0] == (4, 4)
    assert Matcher(index).match(Case("hall sensor")).embedder == "hashing-128-v1"
    assert index.vector("fc_new").shape == (128,)
    assert semantic_hits(index, "coolant pump noise")["fc_new"] == pytest.approx(1, abs=0.005)
    assert semantic_hits(index, "throttle sensor drift")["fc_bms"] == pytest.approx(1, abs=0.005)
    assert "fc_hall" not in semantic_hits(index, "motor hall sensor failure")
    # A case prepared by the former embedder is judged by the new one.
    assert index.semantic.score(prepared, np.array([index.slot_of("fc_new")]))[0] == pytest.approx(1, abs=0.005)
    assert index.embed_pending() == 0


def test_only_one_change_of_embedder_at_a_time(index: CardIndex) -> None:
    first = SlowEmbedder()
    thread = threading.Thread(target=index.reembed, args=(first,))
    thread.start()
    assert first.reached.wait(20)
    with pytest.raises(RuntimeError, match="being changed"):
        index.reembed(HashingEmbedder(64))
    first.go_on.set()
    thread.join(20)
    assert index.embedder is first


def test_a_model_that_breaks_down_changes_nothing(index: CardIndex) -> None:
    broken = SlowEmbedder(OSError("no weights"))
    broken.go_on.set()
    with pytest.raises(OSError, match="no weights"):
        index.reembed(broken)
    assert index.embedder.name == "hashing-384-v1"
    assert "fc_hall" in semantic_hits(index, "motor hall sensor failure")
    index.reembed(HashingEmbedder(64))
    assert index.embedder.name == "hashing-64-v1"


def test_an_index_without_embedder_gains_one() -> None:
    index = CardIndex()
    index.upsert_many(CARDS)
    index.reembed(HashingEmbedder())
    assert index.semantic.off is None
    assert "fc_hall" in semantic_hits(index, "motor hall sensor failure")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bm25, record_store, segment, slots, storage, vectors):
        monkeypatch.setattr(module, "BLOCK", 64)
    monkeypatch.setattr(segment, "TAIL", 16)
    monkeypatch.setattr(slots, "SPARSE", 32)


@pytest.mark.usefixtures("small_blocks")
def test_memory_follows_the_cards_and_not_their_changes() -> None:
    index = CardIndex(HashingEmbedder(64))
    index.upsert_many(
        CardRecord(f"fc_{n}", title=f"Coolant pump noise marker{n}", error_codes=("P0A80",)) for n in range(150)
    )
    index.upsert(
        CardRecord("fc_kept", title="Wheel bearing grinds", revision=5, vehicles=(VehicleRange("Ather", "450X"),))
    )
    kept = index.vector("fc_kept")
    sizes = []
    for n in range(2000):
        # Few cards change often, some come and go.
        index.upsert(
            CardRecord(f"fc_{n % 7}", title=f"Throttle sensor drift {n % 90}", error_codes=(f"P0{n % 50:03d}",))
        )
        if n % 5 == 0:
            index.upsert(CardRecord(f"fc_new{n}", title="Fan relay"))
            index.remove(f"fc_new{n - 30}")
        if n % 500 == 499:
            sizes.append((index.alive.size, sum(array.nbytes for array in index.settled())))
    assert max(sizes)[0] <= 8 * 64
    assert sizes[-1][1] <= 1.5 * sizes[0][1]
    assert len(index) == 151 + 6
    # What did not change has moved, and is still all there.
    assert index.slot_of("fc_kept") != 150
    assert index.revision("fc_kept") == 5
    np.testing.assert_array_equal(index.vector("fc_kept"), kept)
    found = Matcher(index).match(Case("wheel bearing grinds", vehicle=Vehicle("Ather", "450X")), scorer="calibrated")
    assert found.candidates[0].card_id == "fc_kept"
    assert found.candidates[0].channels["vehicle"] > 0.5
    assert index.revisions().keys() == {card.card_id for card in index}
    assert {n for n in range(7) if f"fc_{n}" in index} == set(range(7))
    assert "Throttle" in index.get("fc_3").title


@pytest.mark.usefixtures("small_blocks")
def test_matches_are_those_of_a_fresh_index_whatever_has_happened() -> None:
    random = np.random.default_rng(8)
    words = [f"part{n}" for n in range(40)]
    index = CardIndex(HashingEmbedder(64))
    for n in range(700):
        card_id = f"fc_{random.integers(150)}"
        if random.random() < 0.2:
            index.remove(card_id)
        else:
            index.upsert(CardRecord(card_id, title=" ".join(random.choice(words, 6)), error_codes=(f"P0{n % 30:03d}",)))
    fresh = CardIndex(HashingEmbedder(64))
    fresh.upsert_many(index)
    for _ in range(10):
        case = Case(" ".join(random.choice(words, 8)), error_codes=("P0007",))
        for scorer in ("efi_v2", "calibrated"):
            was, now = (Matcher(i).match(case, scorer=scorer, limit=10).candidates for i in (index, fresh))
            assert [c.card_id for c in was] == [c.card_id for c in now]
            assert [c.score for c in was] == pytest.approx([c.score for c in now], abs=1e-5)
