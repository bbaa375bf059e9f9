from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pymongo import MongoClient

from app import database
from models import ALL_DOCUMENTS
from models.network import Trust
from services.knowledge.network import identity
from services.workflows.rights import RIGHTS
from tests.databases import empty
from tests.services.knowledge.network.sites import Site

Found = Callable[..., Awaitable[list[Site]]]


@pytest.fixture
async def found_sites(
    _admin: MongoClient[dict[str, Any]], database_url: str, worker_id: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Found]:
    """Makes services that trust each other: `await found_sites(2)`. Agents have the rights of the real service."""
    monkeypatch.setattr(database.guard, "policy", RIGHTS)
    made: list[Site] = []
    identity.configure(secret_key="k" * 40)
    before = {model: getattr(model, "_document_settings", None) for model in ALL_DOCUMENTS}

    async def found(count: int, trust: Trust = Trust.approve_automatically) -> list[Site]:
        names = [f"efi_sync_{worker_id}_{number}" for number in range(count)]
        for name in names:
            empty(_admin, name)
        sites = [await Site.open(f"Site {number}", database_url, name) for number, name in enumerate(names)]
        made.extend(sites)
        for one in sites:
            for other in sites:
                if one is not other:
                    await one.trusts(other, trust)
        return sites

    yield found
    for site in made:
        await site.close()
    for model, settings in before.items():
        model._document_settings = settings
    database._client = None
