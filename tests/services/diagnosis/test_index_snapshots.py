"""A restart from the snapshot is quick, and whatever happened to the store meanwhile, no card is wrong."""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app import clock
from matching import CardIndex, Case
from models.enums import NodeType, RelationType, SubsystemCategory
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation, RelationContent
from models.symptom import Symptom, SymptomContent
from services.diagnosis import snapshots
from services.diagnosis.live_index import LiveIndex
from services.knowledge import lifecycle, relations, symptoms
from tests.services.diagnosis.conftest import WatchedEmbedder, approved, retitled

pytestmark = pytest.mark.usefixtures("as_system")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index" / "cards.snapshot"


def exists(path: Path) -> bool:
    return path.exists()


def written_at(path: Path) -> int:
    return path.stat().st_mtime_ns


def damage(path: Path, by: bytes | None) -> None:
    """Put these bytes in its place, or flip a bit in its midst."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data) if by is None else by)


async def run(path: Path, embedder: WatchedEmbedder | None = None) -> LiveIndex:
    """A whole life of the index: started, embedded, stopped."""
    live = LiveIndex(embedder or WatchedEmbedder(), snapshot=path)
    await live.start()
    await live.embedding.finish()
    await live.stop()
    return live


async def as_from_nothing() -> list[Any]:
    live = LiveIndex(WatchedEmbedder())
    await live.load()
    return contents(live.index)


def contents(index: CardIndex) -> list[Any]:
    return sorted([(card, index.revision(card.card_id)) for card in index], key=lambda entry: entry[0].card_id)


def cards() -> Any:
    return FailureCard.get_pymongo_collection()


async def test_a_restart_reads_and_embeds_nothing_that_has_not_changed(path: Path):
    for title in ("Horn silent", "Regen brake chatter"):
        await approved(title)
    first = await run(path)
    embedder, told = WatchedEmbedder(), []
    again = LiveIndex(embedder, snapshot=path)
    assert await again.read(lambda done, total: told.append((done, total))) == 2
    assert told == []
    assert again.index.awaiting(embedder.name) == 0
    assert contents(again.index) == contents(first.index) == await as_from_nothing()
    found = again.matcher.match(Case("regen brake chatter"), scorer="calibrated").candidates[0]
    assert found.title == "Regen brake chatter"
    assert found.channels["semantic"] > 0.9


async def edit(card: FailureCard) -> None:
    await retitled(card, "Something else")


async def deprecate(card: FailureCard) -> None:
    await lifecycle.deprecate(card, "wrong")


async def delete(card: FailureCard) -> None:
    await cards().delete_one({"_id": card.id})


async def restore_older(card: FailureCard) -> None:
    """As a backup would: an earlier state, with its earlier time."""
    earlier = clock.now() - timedelta(days=3)
    await cards().update_one(
        {"_id": card.id}, {"$set": {"title": "Old", "updated_at": earlier}, "$inc": {"revision": -1}}
    )


async def restore_and_write_again(card: FailureCard) -> None:
    """The revision is one that is known, but not its content."""
    earlier = clock.now() - timedelta(hours=1)
    await cards().update_one({"_id": card.id}, {"$set": {"title": "Another past", "updated_at": earlier}})


async def add(card: FailureCard) -> None:
    await approved("One more")


async def another_store(card: FailureCard) -> None:
    await cards().delete_many({})
    await approved("Of the other store")


HAPPENINGS = [edit, deprecate, delete, restore_older, restore_and_write_again, add, another_store]


@pytest.mark.parametrize("happening", HAPPENINGS, ids=lambda happening: happening.__name__)
async def test_what_happened_meanwhile_is_found(path: Path, happening: Callable[[FailureCard], Any]):
    card = await approved("Horn silent")
    await approved("Regen brake chatter")
    saved = await run(path)
    await happening(card)
    expected = await as_from_nothing()
    assert contents(saved.index) != expected
    again = LiveIndex(WatchedEmbedder(), snapshot=path)
    await again.load()
    assert contents(again.index) == expected
    assert {card.title for card in again.index} == {c["title"] async for c in cards().find({"status": "approved"})}


@pytest.mark.parametrize("happening", [delete, restore_older], ids=lambda happening: happening.__name__)
async def test_a_running_index_finds_what_polling_cannot_see(path: Path, happening: Callable[[FailureCard], Any]):
    card = await approved("Horn silent")
    live = LiveIndex(WatchedEmbedder(), snapshot=path, save_seconds=0.1)
    await live.start()
    await happening(card)
    expected = await as_from_nothing()
    async with asyncio.timeout(30):
        while contents(live.index) != expected:
            await asyncio.sleep(0.02)
    await live.stop()


async def test_symptoms_and_edges_that_are_gone_are_forgotten(path: Path):
    card = await approved("Horn silent")
    await symptoms.create(
        SymptomContent(symptom_code="SYM_HORN_001", name="mute hooter", category=SubsystemCategory.low_voltage)
    )
    await relations.create(
        RelationContent(
            source_type=NodeType.symptom,
            source_id="SYM_HORN_001",
            source_label="mute hooter",
            relation_type=RelationType.indicates,
            target_type=NodeType.failure_card,
            target_id=card.id,
            target_label="Horn silent",
        )
    )
    saved = await run(path)
    case = Case("the mute hooter again")
    assert saved.matcher.match(case, scorer="calibrated").candidates[0].matched_symptoms == ("SYM_HORN_001",)
    await KnowledgeRelation.get_pymongo_collection().delete_many({})
    again = await run(path)
    assert not any(c.matched_symptoms for c in again.matcher.match(case, scorer="calibrated").candidates)
    await Symptom.get_pymongo_collection().delete_many({})
    again = await run(path)
    assert not again.index.graph.symptom_name("SYM_HORN_001").startswith("mute")


@pytest.mark.parametrize("by", [b"", b"not a snapshot", None])
async def test_a_damaged_snapshot_is_of_no_use(path: Path, by: bytes | None):
    await approved("Horn silent")
    await run(path)
    damage(path, by)
    with capture_logs() as logs:
        live = LiveIndex(WatchedEmbedder(), snapshot=path)
        await live.load()
    (reason,) = [entry["reason"] for entry in logs if "of no use" in entry["event"]]
    assert "damaged" in reason or "cannot be read" in reason
    assert contents(live.index) == await as_from_nothing()
    await run(path)
    assert snapshots.read(path, WatchedEmbedder()) is not None


async def test_a_snapshot_of_another_embedder_or_translation_is_thrown_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    await approved("Horn silent")
    await run(path)
    other = WatchedEmbedder(128)
    live = await run(path, other)
    assert live.index.embedder is other
    assert live.index.awaiting(other.name) == 0
    monkeypatch.setattr(snapshots, "_translation", lambda: "another")
    assert snapshots.read(path, other) is None


async def test_the_former_embedder_serves_from_its_snapshot(path: Path):
    await approved("Horn silent")
    former = WatchedEmbedder(name="former")
    await run(path, former)
    wanted = WatchedEmbedder(128, name="wanted")
    live = LiveIndex(wanted, former={"former": former}.get, snapshot=path)
    former.embedded.clear()
    await live.read()
    assert live.index.embedder is former
    assert former.embedded == wanted.embedded == []
    await live.embedding.finish()
    assert live.index.embedder is wanted


async def test_it_is_saved_at_the_end_if_anything_has_changed(path: Path):
    await run(path)
    assert not exists(path)
    await approved("Horn silent")
    await run(path)
    written = written_at(path)
    await run(path)
    assert written_at(path) == written


async def test_it_is_saved_while_it_runs(path: Path):
    live = LiveIndex(WatchedEmbedder(), snapshot=path, save_seconds=0.05)
    await live.start()
    await approved("Horn silent")
    async with asyncio.timeout(30):
        while not exists(path) or snapshots.read(path, WatchedEmbedder()) is None:
            await asyncio.sleep(0.02)
    await live.stop()


async def test_what_a_killed_process_left_half_written_is_removed(path: Path):
    await approved("Horn silent")
    await run(path)
    abandoned, in_work = (path.with_name(f"{path.name}.{name}.partial") for name in ("abandoned", "in_work"))
    for partial in (abandoned, in_work):
        partial.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    await run(path)
    assert {file.name for file in path.parent.iterdir()} == {path.name, in_work.name}


async def test_a_directory_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path):
    await approved("Horn silent")
    (tmp_path / "file").write_text("in the way")
    with capture_logs() as logs:
        live = await run(tmp_path / "file" / "cards.snapshot")
    assert len(live.index) == 1
    assert any(entry["event"] == "the index could not be saved" for entry in logs)
