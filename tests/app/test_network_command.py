"""`efi network …`, in processes of their own, as people call it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.security import Role
from tests.processes import ROOT
from tests.support import running, settings_for_tests


@pytest.fixture
def network(database_url: str, database_name: str, tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EFI_")} | {
        "EFI_MONGO_URL": database_url,
        "EFI_MONGO_DATABASE": database_name,
        "EFI_DATA_DIR": str(tmp_path),
        "EFI_EMBEDDER": "hashing",
        "EFI_SECRET_KEY": "k" * 40,
    }

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-m", "app.cli", "network", *map(str, arguments)]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_what_goes_wrong_is_told_in_a_sentence(network, tmp_path: Path):
    nowhere = tmp_path / "missing" / "out.jsonl"
    exported = network("export", nowhere)
    assert (exported.returncode, exported.stdout) == (1, "")
    assert str(nowhere) in exported.stderr
    assert "Traceback" not in exported.stderr

    junk = tmp_path / "junk.jsonl"
    junk.write_text("hello\n", "utf-8")
    imported = network("import", junk)
    assert (imported.returncode, imported.stdout) == (1, "")
    assert "This is no bundle" in imported.stderr
    assert "Traceback" not in imported.stderr


async def test_a_pull_works_as_the_agent_of_the_network(network, database_url: str, database_name: str, tmp_path: Path):
    """Whatever the agent touches must be granted to it here as in the service; only then is the peer asked."""
    peer = {
        "node_id": "node_07kq2m9x4rd1hz6t8b3n",
        "name": "Workshop Mumbai",
        "url": "http://127.0.0.1:9",
        "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    }
    async with running(settings_for_tests(database_url, database_name, tmp_path)) as api:
        admin = await api.as_role(Role.admin)
        assert (await admin.post("/api/network/peers", json=peer)).status_code == 201
        pulled = await asyncio.to_thread(network, "pull", peer["node_id"])
        noted = (await admin.get(f"/api/network/peers/{peer['node_id']}")).json()["last_error"]

    assert (pulled.returncode, pulled.stdout) == (1, "")
    assert "http://127.0.0.1:9" in pulled.stderr
    assert noted.startswith("peer_failed")
