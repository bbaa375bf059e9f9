"""`efi reindex`, as people call it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from app.security import acting_as, system
from services.diagnosis import snapshots
from tests.processes import ROOT, environment
from tests.services.diagnosis.conftest import approved
from tests.support import running, settings_for_tests


def reindex(data_dir: Path, url: str, database: str, *options: str, **changes: str) -> subprocess.CompletedProcess[str]:
    store = {"EFI_MONGO_URL": url, "EFI_MONGO_DATABASE": database}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "app.cli", "reindex", *options],
        cwd=ROOT,
        env=environment(data_dir, **store, **changes),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
async def cards(_admin: MongoClient[dict[str, Any]], database_url: str, database_name: str, tmp_path: Path) -> Any:
    """Three cards in the store, and their vectors."""
    async with running(settings_for_tests(database_url, database_name, tmp_path / "elsewhere")) as api:
        with acting_as(system("test")):
            for title in ("Horn silent", "Regen brake chatter", "Hub motor noise"):
                await approved(title)
            live = api.app.state.service.index
            await live.caught_up()
            await live.embedding.finish()
    return _admin[database_name]["card_vectors"]


def test_the_index_is_built_anew_and_saved(cards: Any, database_url: str, database_name: str, tmp_path: Path):
    before = {vector["_id"]: vector["created_at"] for vector in cards.find()}
    assert len(before) == 3
    snapshot = tmp_path / snapshots.FILE
    snapshot.parent.mkdir()
    snapshot.write_bytes(b"damaged")

    ran = reindex(tmp_path, database_url, database_name)
    assert (ran.returncode, ran.stdout) == (0, "3 cards indexed.\n"), ran.stderr
    assert snapshot.stat().st_size > 1000
    assert {vector["_id"]: vector["created_at"] for vector in cards.find()} == before

    ran = reindex(tmp_path, database_url, database_name, "--embeddings")
    assert ran.returncode == 0, ran.stderr
    assert "3 kept vectors dropped" in ran.stderr
    after = {vector["_id"]: vector["created_at"] for vector in cards.find()}
    assert after.keys() == before.keys()
    assert all(after[name] > before[name] for name in after)


def test_an_embedder_that_fails_is_told_in_a_sentence(
    cards: Any, database_url: str, database_name: str, tmp_path: Path
):
    nobody = {"EFI_EMBEDDER": "openai", "EFI_OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "EFI_OPENAI_MAX_RETRIES": "0"}
    ran = reindex(tmp_path, database_url, database_name, "--embeddings", **nobody)
    assert ran.returncode == 1
    assert "The cards cannot be embedded: the language model at 127.0.0.1 cannot be reached." in ran.stderr
    assert "Traceback" not in ran.stderr
