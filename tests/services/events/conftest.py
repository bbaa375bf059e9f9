import pytest

from app import database
from tests.services.events.helpers import RIGHTS


@pytest.fixture
def rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database.guard, "policy", database.DeclaredRights(RIGHTS))
