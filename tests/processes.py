"""The service as a process of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
SETTLED_WITHIN_SECONDS = 90


def environment(data_dir: Path, **changes: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EFI_")}
    settings = {"EFI_DATA_DIR": str(data_dir), "EFI_PORT": "0", "EFI_SEED": "false", "EFI_EMBEDDER": "hashing"}
    return clean | settings | {"PYTHONWARNINGS": "error"} | changes


class Running:
    """`log` is where its standard error goes."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self.said: list[str] = []
        for line in process.stdout:
            self.said.append(line)
            if line.strip().startswith("sign in as"):
                break
        else:
            raise AssertionError(f"it did not start:\n{log.read_text()}")

    @property
    def url(self) -> str:
        return re.search(r"EFI is ready: (\S+)", "".join(self.said))[1]

    @property
    def password(self) -> str | None:
        found = re.search(r"^Password of \S+: (\S+)", "".join(self.said), re.MULTILINE)
        return found[1] if found else None

    def sign_in(self, password: str, email: str = "admin@efi.example.com") -> httpx.Client:
        body = {"email": email, "password": password}
        answer = httpx.post(f"{self.url}/api/auth/login", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def settle(self, client: httpx.Client, since: datetime | None = None) -> None:
        """Wait until what has happened (since then) is worked through and in the matching index.

        `client` may read the event log.
        """
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        at_rest_since = None
        while time.monotonic() < deadline:
            # Two looks: between the requests of one an event may lead to another and be done with.
            if not self._at_rest(client, since):
                at_rest_since = None
            elif at_rest_since is None:
                at_rest_since = time.time()
            elif self._figure("efi_index_read_until_seconds") > at_rest_since:
                return
            time.sleep(0.05)
        raise AssertionError("events are still being worked through, or the index does not follow")

    def _at_rest(self, client: httpx.Client, since: datetime | None) -> bool:
        """No event is in work or to be worked on, and no card awaits its vector."""
        wanted = {"limit": 1} if since is None else {"limit": 1, "since": since.isoformat()}
        for status in ("processing", "pending"):
            found = client.get("/api/efi/events", params=wanted | {"status": status}).raise_for_status()
            if found.json()["items"]:
                return False
        return self._figure("efi_index_cards_to_embed") == 0

    def _figure(self, name: str) -> float:
        figures = httpx.get(f"{self.url}/metrics", timeout=60).raise_for_status().text
        return float(re.search(rf"^{name} (\S+)$", figures, re.MULTILINE)[1])


@contextlib.contextmanager
def serving(data_dir: Path, **changes: str) -> Iterator[Running]:
    """The service on `data_dir`; ended by SIGTERM afterwards. Its log is the file `log` beside that."""
    path = data_dir.parent / "log"
    with path.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "server.py"],
            cwd=ROOT,
            env=environment(data_dir, **changes),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield Running(process, path)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
