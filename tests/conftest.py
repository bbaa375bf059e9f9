"""What every test may use: a store over the wire and a database of its own."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from app.embedded_store import start_embedded_store


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running store: the one at EFI_TEST_MONGO_URL, else an embedded one for each worker."""
    if url := os.environ.get("EFI_TEST_MONGO_URL"):
        yield url
        return
    store = asyncio.run(start_embedded_store(tmp_path_factory.mktemp("data")))
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
