"""`efi seed`, as people call it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def efi(data_dir: Path, command: str) -> list[str]:
    """The lines that a command prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EFI_")}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "app.cli", command],
        cwd=ROOT,
        env=clean | {"EFI_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def seed(data_dir: Path) -> dict[str, list[int]]:
    """What became of the entries of each kind: created, updated, unchanged."""
    lines = (line.split(": ") for line in efi(data_dir, "seed"))
    return {kind: [int(number) for number in re.findall(r"\d+", counts)] for kind, counts in lines}


def test_loading_the_starter_knowledge_twice_adds_nothing(tmp_path: Path):
    first, second = seed(tmp_path), seed(tmp_path)
    assert set(first) == {"symptoms", "vehicles", "failure cards"}
    assert first["failure cards"][0] >= 60
    assert first["symptoms"][0] >= 120
    for kind, (created, updated, unchanged) in second.items():
        assert (created, updated, unchanged) == (0, 0, first[kind][0])


def test_relinking_gives_the_starter_cards_their_edges_once(tmp_path: Path):
    seed(tmp_path)
    [first], [second] = efi(tmp_path, "relink"), efi(tmp_path, "relink")
    # Each card has a subsystem, and symptoms, parts or vehicles besides.
    assert int(first.removeprefix("edges changed: ")) > 500
    assert second == "edges changed: 0"
