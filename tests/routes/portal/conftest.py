"""The application on a port of its own, and headless Chromium."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import async_playwright, expect
from pymongo import MongoClient

from tests.databases import empty
from tests.routes.portal.support import CHROMIUM, QUIET, Portal
from tests.support import running, settings_for_tests

expect.set_options(timeout=30_000)  # as pages have, for slow machines; what is there already waits for nothing


@pytest.fixture(scope="module")
def portal_settings(
    _admin: MongoClient[dict[str, Any]], database_url: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    database = f"efi_portal_{worker_id}"
    empty(_admin, database)
    return settings_for_tests(database_url, database, tmp_path_factory.mktemp("portal"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(portal_settings: Any) -> AsyncIterator[Portal]:
    async with running(portal_settings) as api, async_playwright() as playwright:
        server = uvicorn.Server(
            uvicorn.Config(api.app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        )
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        assert CHROMIUM.exists(), "these tests need Debian's package chromium: scripts/install-browser.sh"
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield Portal(api, browser, f"http://127.0.0.1:{port}")
        await browser.close()
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await serving


@pytest_asyncio.fixture(loop_scope="module")
async def portal(served: Portal) -> AsyncIterator[Portal]:
    yield served
    await served.close_pages()
