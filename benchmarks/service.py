"""The real service as a process of its own, on a port of its own, with a data directory of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
EMAIL, PASSWORD = "admin@efi.example.com", "correct horse battery"
READY = "EFI is ready: "
START_SECONDS = 600
END_SECONDS = 120
"""A service with a million cards saves its index for so long."""


class ServiceDied(RuntimeError):
    """The service ended before it was ready; the message holds its last words."""


class RunningService:
    """`url` answers as long as the process lives."""

    def __init__(self, data_dir: Path, *, command: Sequence[str] = ("server.py",), **environment: str) -> None:
        own = {
            "EFI_DATA_DIR": str(data_dir),
            "EFI_MONGO_URL": "",
            "EFI_PORT": "0",
            "EFI_LOG_LEVEL": "warning",
            "EFI_SEED": "false",
            "EFI_ADMIN_PASSWORD": PASSWORD,
            "EFI_ACCESS_TOKEN_MINUTES": "600",
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith("EFI_")}
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=clean | own | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._said: deque[str] = deque(maxlen=200)
        self._ready = threading.Event()
        self.url = ""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        if not self._ready.wait(START_SECONDS) or not self.url:
            self.kill()
            raise ServiceDied("".join(self._said))

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line)
            if line.startswith(READY):
                self.url = line.removeprefix(READY).strip()
                self._ready.set()
        self._ready.set()

    @property
    def said(self) -> str:
        """The last lines of its output."""
        return "".join(self._said)

    @property
    def resident_bytes(self) -> int:
        """Memory of the service's own process; Linux only."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    @property
    def processor_seconds(self) -> float:
        """Processor time of the service's own process; Linux only."""
        return processor_seconds_of(self._process.pid)

    @property
    def processor_seconds_with_store(self) -> float:
        """The same of it and of its embedded store; Linux only."""
        processes = [self._process.pid]
        for pid in processes:  # grows while it is read
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
            processes += map(int, children.split())
        return sum(map(processor_seconds_of, processes))

    def kill(self) -> None:
        """kill -9: no handler runs, nothing is flushed."""
        self._process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self) -> None:
        self._process.terminate()
        self._end()

    def _end(self) -> None:
        self._process.wait(END_SECONDS)
        # The embedded store's process writes to the same pipe and ends a moment later.
        self._listener.join(30)
        assert self._process.stdout is not None
        self._process.stdout.close()


def processor_seconds_of(pid: int) -> float:
    """Processor time that a process has used; Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_service(
    data_dir: Path, *, command: Sequence[str] = ("server.py",), **environment: str
) -> Iterator[RunningService]:
    service = RunningService(data_dir, command=command, **environment)
    try:
        yield service
    finally:
        service.stop()


def sign_in(url: str) -> dict[str, str]:
    """The headers of the admin's requests."""
    answer = httpx.post(f"{url}/api/auth/login", json={"email": EMAIL, "password": PASSWORD}, timeout=30)
    answer.raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def settle(client: httpx.Client, seconds: float = 600) -> None:
    """Wait until no event is left to be worked through. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while any(
        client.get("/api/efi/events", params={"status": status, "limit": 1}).raise_for_status().json()["items"]
        for status in ("pending", "processing")
    ):
        if time.monotonic() > deadline:
            raise TimeoutError("events are left that nobody finishes")
        time.sleep(0.2)
