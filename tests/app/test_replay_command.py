"""`efi replay`, as people call it, beside the running service."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT, serving

PASSWORD = "the admin's passphrase"


def replay(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EFI_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "app.cli", "replay", *arguments],
        cwd=ROOT,
        env=clean | {"EFI_DATA_DIR": str(data_dir), "EFI_EMBEDDER": "hashing", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_suggestion_is_shown_again_and_proved(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    with (
        serving(data, EFI_SEED="true", EFI_ADMIN_PASSWORD=PASSWORD) as service,
        service.sign_in(PASSWORD) as client,
    ):
        service.settle(client)  # or the graph's edges would get their weights between the match and its replay
        asked = {"symptom_text": "Scooter stops charging at 80 percent", "vehicle_make": "Ather"}
        answer = client.post("/api/efi/match", json=asked).raise_for_status().json()

        written = tmp_path / "replay.json"
        ran = replay(data, answer["match_run_id"], "--json", str(written))
        assert ran.returncode == 0, ran.stderr
        assert "Reproduced exactly" in ran.stdout
        assert asked["symptom_text"] in ran.stdout
        assert answer["matches"][0]["title"] in ran.stdout

        played = json.loads(written.read_text("utf-8"))
        assert played["reproduced_exactly"] is True
        found = [match["failure_id"] for match in answer["matches"]]
        assert [(card["card_id"], card["fate"]) for card in played["cards"]] == [(card, "same") for card in found]
        assert list(played["versions"]) == found

        unknown = replay(data, "run_00000000000000000000")
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert "run_00000000000000000000" in unknown.stderr
