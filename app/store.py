"""Opening the store, for the service and for commands beside it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pymongo.errors import ConfigurationError, ConnectionFailure

from app import database
from app.embedded_store import StoreInUse, start_embedded_store, url_of_running_store
from app.errors import Unavailable
from app.settings import Settings
from models import ALL_DOCUMENTS


@dataclass(frozen=True, slots=True)
class OpenStore:
    """`kind` is for people's eyes. `alone` says that no other process has this store open."""

    kind: str
    alone: bool


@asynccontextmanager
async def open_store(settings: Settings, *, share: bool = False) -> AsyncIterator[OpenStore]:
    """Connect to the store at EFI_MONGO_URL, or start the embedded one if that is empty.

    `share` joins the embedded store of a service that runs already; otherwise StoreInUse is raised. Raises
    EmbeddedStoreError or Unavailable when there is no store to be had.
    """
    async with AsyncExitStack() as stack:
        url, store = settings.mongo_url, OpenStore("the one at EFI_MONGO_URL", alone=False)
        if not url:
            try:
                handle = await start_embedded_store(
                    settings.data_dir,
                    cache_size=settings.store_cache,
                    startup_timeout_seconds=settings.store_start_minutes * 60,
                )
            except StoreInUse:
                if not share:
                    raise
                url = await url_of_running_store(settings.data_dir)
                store = OpenStore("the running service's", alone=False)
            else:
                stack.push_async_callback(handle.stop)
                url, store = handle.url, OpenStore(f"embedded ({handle.kind})", alone=True)
        stack.push_async_callback(database.disconnect)
        try:
            await database.connect(url, settings.mongo_database, ALL_DOCUMENTS)
        except (ConfigurationError, ConnectionFailure) as error:
            # The driver's words, without its list of servers and timeouts, and never the URL: it holds a password.
            reason = str(error).partition(" (configured timeouts")[0]
            raise Unavailable(f"The store, {store.kind}, cannot be opened: {reason}") from error
        yield store
