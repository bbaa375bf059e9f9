"""What every test may use: a store over the wire and a database of its own."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from pymongo import MongoClient

from app.embedded_store import start_embedded_store

MEMORY = Path("/dev/shm")
ROOM_NEEDED = 2 * 1024**3
SCREENSHOTS = Path(os.environ.get("EFI_SCREENSHOTS", Path(__file__).parents[1] / "build" / "screenshots"))
"""Where the portal's tests leave pictures of the pages."""

# A slow machine is no failure: how long things take is the benchmarks' business.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SCREENSHOTS.is_dir():
        terminalreporter.write_line(f"Screenshots of the portal: {SCREENSHOTS}")


def _roomy(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM_NEEDED


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A running store: the one at EFI_TEST_MONGO_URL, else an embedded one for each worker.

    It lives in memory where there is room: there the indexes of one database take 10 ms to make instead of 300.
    """
    if url := os.environ.get("EFI_TEST_MONGO_URL"):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="efi_test_", dir=MEMORY if _roomy(MEMORY) else None) as folder:
        store = asyncio.run(start_embedded_store(Path(folder)))
        yield store.url
        asyncio.run(store.stop())


@pytest.fixture(scope="session")
def _admin(database_url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient(database_url) as client:
        yield client


@pytest.fixture
def database_name(_admin: MongoClient[dict[str, Any]], worker_id: str) -> Iterator[str]:
    """An empty database for this test alone, dropped afterwards."""
    name = f"efi_test_{worker_id}_{secrets.token_hex(6)}"
    yield name
    _admin.drop_database(name)
