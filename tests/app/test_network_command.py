"""`efi network …`, in processes of their own, as people call it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT


@pytest.fixture
def network(database_url: str, database_name: str, tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EFI_")} | {
        "EFI_MONGO_URL": database_url,
        "EFI_MONGO_DATABASE": database_name,
        "EFI_DATA_DIR": str(tmp_path),
        "EFI_EMBEDDER": "hashing",
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
