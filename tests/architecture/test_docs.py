"""What the documents say is what the service does."""

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from app import clock
from app.factory import create_app
from app.reference import api_reference
from app.settings import Settings
from tests.processes import ROOT, Running, serving

PASSWORD = "the admin's passphrase"
PAUSE = "sleep 1"


def test_the_api_reference_is_current():
    written = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert written == api_reference(create_app(Settings(env="test")).openapi()), "run: efi reference > docs/api.md"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str):
    assert f"`EFI_{name.upper()}`" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_link_between_documents_leads_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


def pasted(script: str, service: Running, admin: httpx.Client) -> str:
    """What a shell says that is given the script. Where that sleeps, wait until the service has come to rest."""
    pieces = script.split(f"\n{PAUSE}\n")
    assert len(pieces) > 1
    said, begun = "", clock.now()
    with subprocess.Popen(
        ["bash"],
        env={"PATH": os.environ["PATH"], "EFI": service.url, "EFI_ADMIN_PASSWORD": PASSWORD},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        for piece in pieces:
            shell.stdin.write(f"{piece}\necho {PAUSE}\n")
            shell.stdin.flush()
            for line in shell.stdout:
                if line == f"{PAUSE}\n":
                    break
                said += line
            else:
                break  # a command has failed
            service.settle(admin, since=begun)
    assert shell.returncode == 0, said
    return said


def test_the_tour_of_the_readme_runs(tmp_path: Path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tour = readme.split("## Five-minute tour")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", tour, re.DOTALL)
    assert len(blocks) >= 5
    script = "set -euo pipefail\n" + "\n".join(blocks)
    (tmp_path / "data").mkdir()
    with (
        serving(tmp_path / "data", EFI_SEED="true", EFI_ADMIN_PASSWORD=PASSWORD) as service,
        service.sign_in(PASSWORD) as admin,
    ):
        said = pasted(script, service, admin)
    assert "status: resolved" in said
    assert "usage_count: 1" in said
    assert "status: approved" in said
    # The last line is the new card, found by the next complaint.
    assert "Reverse chime relay" in said.strip().splitlines()[-1]
