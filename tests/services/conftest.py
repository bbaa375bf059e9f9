from collections.abc import AsyncIterator, Iterator

import pytest

from app.database import GuardedDatabase, connect, disconnect
from app.security import acting_as, system
from models import ALL_DOCUMENTS


@pytest.fixture
def database_name(reused_database: str) -> str:
    return reused_database


@pytest.fixture
async def store(database_url: str, database_name: str) -> AsyncIterator[GuardedDatabase]:
    """Every collection of the service, empty."""
    yield await connect(database_url, database_name, ALL_DOCUMENTS)
    await disconnect()


@pytest.fixture
def as_system(store: GuardedDatabase) -> Iterator[None]:
    with acting_as(system("test")):
        yield
