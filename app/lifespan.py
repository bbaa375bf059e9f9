"""Start and stop: the store, then what works on it, then what runs by the clock; stopped in reverse order."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import structlog
from fastapi import FastAPI
from pymongo.errors import PyMongoError

from app import database
from app.migrations import migrate
from app.security import acting_as, system
from app.settings import Settings
from app.store import OpenStore, open_store
from services.accounts import users

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Condition:
    """How a part of the service does. `off` is a decision, with its reason; `failing` is not."""

    status: Literal["ok", "off", "failing"]
    detail: str = ""


Check = Callable[[], Awaitable[Condition]]


@dataclass
class Service:
    """What runs."""

    store: OpenStore
    checks: dict[str, Check] = field(default_factory=dict)

    async def conditions(self) -> dict[str, Condition]:
        """The condition of every part, asked now."""
        return {name: await check() for name, check in self.checks.items()}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Runs around everything that the application answers.

    Leaves a `Service` as `app.state.service`, and the first admin's password, if it had to be made up, as
    `app.state.first_password`.
    """
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        service = Service(store, checks={"store": _store_condition(store)})
        await migrate()
        with acting_as(system("start")):
            app.state.first_password = await users.ensure_admin(settings)
        app.state.service = service
        log.info("started", store=store.kind)
        yield
        log.info("stopping")


def _store_condition(store: OpenStore) -> Check:
    async def check() -> Condition:
        try:
            await database.ping()
        except PyMongoError as error:
            return Condition("failing", str(error))
        return Condition("ok", store.kind)

    return check
