"""`efi train`, in a process of its own, as people call it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_without_decisions_nothing_is_learnt_and_that_is_said(
    database_url: str, database_name: str, tmp_path: Path, options: tuple[str, ...]
):
    environment = {
        **os.environ,
        "EFI_MONGO_URL": database_url,
        "EFI_MONGO_DATABASE": database_name,
        "EFI_DATA_DIR": str(tmp_path),
        "EFI_EMBEDDER": "hashing",
        "COLUMNS": "200",
    }
    command = [sys.executable, "-W", "error", "-m", "app.cli", "train", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "0 decisions for a card, 0 for no known failure.",
        "Nothing was learnt: 0 decisions, 0 for a card and 0 for none: 200 are needed, 30 of each kind.",
    ]
