"""`efi seed`, as people call it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def seed(data_dir: Path) -> dict[str, list[int]]:
    """What became of the entries of each kind: created, updated, unchanged."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EFI_")}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "app.cli", "seed"],
        cwd=ROOT,
        env=clean | {"EFI_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = (line.split(": ") for line in ran.stdout.splitlines())
    return {kind: [int(number) for number in re.findall(r"\d+", counts)] for kind, counts in lines}


def test_loading_the_starter_knowledge_twice_adds_nothing(tmp_path: Path):
    first, second = seed(tmp_path), seed(tmp_path)
    assert set(first) == {"symptoms", "vehicles", "failure cards"}
    assert first["failure cards"][0] >= 60
    assert first["symptoms"][0] >= 120
    for kind, (created, updated, unchanged) in second.items():
        assert (created, updated, unchanged) == (0, 0, first[kind][0])
