from collections.abc import AsyncIterator, Iterator

import pytest

from app.database import GuardedDatabase, connect, disconnect
from app.security import acting_as, system
from models import ALL_DOCUMENTS


@pytest.fixture
async def store(database_url: str, database_name: str) -> AsyncIterator[GuardedDatabase]:
    """Every collection of the service, empty."""
    yield await connect(database_url, database_name, ALL_DOCUMENTS)
    await disconnect()


@pytest.fixture(autouse=True)
def _as_importer() -> Iterator[None]:
    with acting_as(system("import")):
        yield
