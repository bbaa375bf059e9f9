"""A saved index answers as before and goes on changing; a snapshot that does not fit is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from matching import CardIndex, CardRecord, Case, HashingEmbedder, Matcher
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
