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
from argon2 import PasswordHasher
from pymongo import MongoClient

from app import security
from app.embedded_store import start_embedded_store
from matching.minilm import ModelMissing, weight_files
from tests import databases

MEMORY = Path("/dev/shm")
ROOM_NEEDED = 2 * 1024**3
SCREENSHOTS = Path(os.environ.get("EFI_SCREENSHOTS", Path(__file__).parents[1] / "build" / "screenshots"))
"""Where the portal's tests leave pictures of the pages."""

# A slow machine is no failure: how long things take is the benchmarks' business.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

databases.reuse()
# What a password hash should cost, tests would pay a thousand times. Services in processes of their own pay it.
security._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


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


@pytest.fixture
def reused_database(_admin: MongoClient[dict[str, Any]], worker_id: str) -> str:
    """An empty database with its indexes, for tests of which no other process writes there."""
    name = f"efi_reused_{worker_id}"
    databases.empty(_admin, name)
    return name


@pytest.fixture
def other_process(_admin: MongoClient[dict[str, Any]]) -> MongoClient[dict[str, Any]]:
    """Writes as another replica does: the process under test learns of it from the store alone."""
    return _admin


@pytest.fixture(scope="session")
def sentence_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sentence model is built, once; skips where it cannot be."""
    pytest.importorskip("onnxruntime", reason="the sentence model's runtime is not installed")
    try:
        weight_files()
    except ModelMissing as missing:
        pytest.skip(str(missing))
    return tmp_path_factory.mktemp("models")
