"""A saved index answers as before and goes on changing; a snapshot that does not fit is refused."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matching import CardIndex, CardRecord, Case, HashingEmbedder, Matcher, snapshot
from matching.snapshot import SnapshotUnusable, load, save
from tests.matching.conftest import ATHER, CARDS

CASES = [
    Case("Battery not charging beyond 80%, code E401", vehicle=ATHER),
    Case("motor jerks", error_codes=("P0A3F",)),
    Case(signature=CARDS[2].signature),
]


@pytest.fixture
def saved(index: CardIndex, tmp_path: Path) -> Path:
    save(index, tmp_path / "cache" / "index", {"read_until": "2026-03-01T08:00:00Z"})
    return tmp_path / "cache" / "index"


@pytest.mark.parametrize("scorer", ["efi_v2", "calibrated"])
def test_answers_are_the_same(index: CardIndex, saved: Path, scorer: str) -> None:
    loaded, _ = load(saved, HashingEmbedder())
    assert list(loaded) == list(index)
    for case in CASES:
        before, after = (Matcher(i).match(case, scorer=scorer, limit=20).candidates for i in (index, loaded))
        assert after == before


def test_the_loaded_index_goes_on_changing(saved: Path) -> None:
    loaded, _ = load(saved, HashingEmbedder())
    loaded.remove("fc_hall")
    loaded.upsert(replace(CARDS[0], title="Throttle sensor drift"))
    loaded.upsert(CardRecord("fc_new", title="Coolant pump noise"))
    found = Matcher(loaded).match(Case("throttle sensor, coolant pump noise, hall sensor"), limit=20)
    assert {candidate.card_id for candidate in found.candidates} >= {"fc_bms", "fc_new"}
    assert "fc_hall" not in loaded


def test_what_was_noted_comes_back_with_the_revisions(saved: Path) -> None:
    loaded, meta = load(saved, HashingEmbedder())
    assert meta == {"read_until": "2026-03-01T08:00:00Z"}
    assert loaded.revisions() == {card.card_id: card.revision for card in CARDS}


def test_nothing_but_the_snapshot_is_left_behind(saved: Path) -> None:
    assert [path.name for path in saved.parent.iterdir()] == ["index"]


@pytest.mark.parametrize("damage", [b"", b"not a snapshot", None])
def test_damaged_or_missing(saved: Path, damage: bytes | None) -> None:
    if damage is None:
        saved.unlink()
    else:
        saved.write_bytes(damage)
    with pytest.raises(SnapshotUnusable):
        load(saved, HashingEmbedder())


def test_cut_short(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(SnapshotUnusable):
        load(saved, HashingEmbedder())


def test_another_embedder_is_refused(saved: Path) -> None:
    with pytest.raises(SnapshotUnusable, match="hashing-384-v1"):
        load(saved, HashingEmbedder(128))
    with pytest.raises(SnapshotUnusable):
        load(saved, None)


@pytest.mark.parametrize("place", [0.01, 0.3, 0.6, 0.99])
def test_a_flipped_bit_is_noticed(saved: Path, place: float) -> None:
    data = bytearray(saved.read_bytes())
    data[int(place * len(data))] ^= 4
    saved.write_bytes(data)
    with pytest.raises(SnapshotUnusable, match="damaged"):
        load(saved, HashingEmbedder())


def test_another_release_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matching.snapshot._engine", lambda: "another")
    with pytest.raises(SnapshotUnusable, match="another release"):
        load(saved, HashingEmbedder())


class _Foreign:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def test_foreign_code_is_never_run(saved: Path, index: CardIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.graph.stowaway = _Foreign()
    save(index, saved)
    called: list[str] = []
    monkeypatch.setattr(os, "system", called.append)
    with pytest.raises(SnapshotUnusable, match=r"no business with posix\.system"):
        load(saved, HashingEmbedder())
    assert called == []


def test_a_loaded_index_is_saved_again_with_what_has_changed(saved: Path) -> None:
    loaded, _ = load(saved, HashingEmbedder())
    loaded.upsert(CardRecord("fc_new", title="Coolant pump noise"))
    save(loaded, saved)
    # The first one's file has lost its name, not its content.
    assert Matcher(loaded).match(Case("hall sensor failure")).candidates[0].card_id == "fc_hall"
    again, _ = load(saved, HashingEmbedder())
    assert list(again) == list(loaded)
    assert Matcher(again).match(Case("coolant pump noise")).candidates[0].title == "Coolant pump noise"
    np.testing.assert_array_equal(again.vector("fc_hall"), loaded.vector("fc_hall"))


def test_cards_change_while_the_snapshot_is_on_its_way_to_the_disk(
    index: CardIndex, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = snapshot._write

    def slowly(*parts: Any) -> None:
        index.remove("fc_hall")
        index.upsert(CardRecord("fc_new", title="Coolant pump noise"))
        write(*parts)

    monkeypatch.setattr(snapshot, "_write", slowly)
    save(index, saved)
    loaded, _ = load(saved, HashingEmbedder())
    assert [card.card_id for card in loaded] == [card.card_id for card in CARDS]
    assert Matcher(loaded).match(Case("motor hall sensor failure")).candidates[0].card_id == "fc_hall"
    assert "fc_new" in index
