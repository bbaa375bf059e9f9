from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from app.settings import Settings
from tests.databases import empty
from tests.support import Api, running, settings_for_tests


@pytest.fixture
def settings(_admin: MongoClient[dict[str, Any]], database_url: str, worker_id: str, tmp_path: Path) -> Settings:
    """For an application on an empty database."""
    database = f"efi_http_{worker_id}"
    empty(_admin, database)
    return settings_for_tests(database_url, database, tmp_path)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    async with running(settings) as api:
        yield api
