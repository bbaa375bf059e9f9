"""Start and stop: the store, then what works on it, then what runs by the clock; stopped in reverse order."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import structlog
from fastapi import FastAPI

from app import database
from app.embedded_store import start_embedded_store
from app.migrations import migrate
from app.security import acting_as, system
from app.settings import Settings
from models import ALL_DOCUMENTS
from services.accounts import users

log = structlog.get_logger(__name__)


@dataclass
class Service:
    """What runs. `off` names what does not, each with the reason."""

    store: str
    first_password: str | None = None
    off: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[str]:
    """Connect to the store, starting the embedded one if none is set; yields which it is."""
    async with AsyncExitStack() as stack:
        url, kind = settings.mongo_url, "EFI_MONGO_URL"
        if not url:
            handle = await start_embedded_store(settings.data_dir, cache_size=settings.store_cache)
            stack.push_async_callback(handle.stop)
            url, kind = handle.url, f"embedded ({handle.kind})"
        await database.connect(url, settings.mongo_database, ALL_DOCUMENTS)
        stack.push_async_callback(database.disconnect)
        yield kind


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        service = Service(store=await stack.enter_async_context(open_store(settings)))
        await migrate()
        with acting_as(system("start")):
            service.first_password = await users.ensure_admin(settings)
        app.state.service = service
        log.info("started", store=service.store, off=service.off)
        yield
        log.info("stopping")
