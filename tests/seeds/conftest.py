from collections.abc import AsyncIterator

import pytest

from app.database import GuardedDatabase, connect, disconnect
from app.security import acting_as, system
from models import ALL_DOCUMENTS


@pytest.fixture
def database_name(reused_database: str) -> str:
    return reused_database


@pytest.fixture
async def store(database_url: str, database_name: str) -> AsyncIterator[GuardedDatabase]:
    """Every collection of the service, empty; the test acts as the system."""
    database = await connect(database_url, database_name, ALL_DOCUMENTS)
    with acting_as(system("test")):
        yield database
    await disconnect()
