"""What tests of the running application share."""

import functools
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from app.factory import create_app
from app.security import Role, acting_as, hash_password, sign_access_token, system
from app.settings import Settings
from models.account import Organisation, Session, Site, User

PASSWORD = "correct horse battery"


@functools.cache
def password_hash() -> str:
    """Of PASSWORD. Hashing is slow by design, so it is done once."""
    return hash_password(PASSWORD)


class Api:
    """The running application, and people who use it. One site and one organisation are there from the start."""

    def __init__(self, app: FastAPI, stack: AsyncExitStack) -> None:
        self.app = app
        self.settings: Settings = app.state.settings
        self.site = Site(name="Workshop One", city="Pune")
        self.organisation = Organisation(name="Fleet One")
        self._stack = stack
        self._people = 0

    async def set_up(self) -> None:
        with acting_as(system("test")):
            await self.site.insert()
            await self.organisation.insert()

    async def anonymous(self, **headers: str) -> httpx.AsyncClient:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://efi.test", headers=headers)
        return await self._stack.enter_async_context(client)

    async def add_user(
        self, *roles: Role, organisation_id: str | None = None, site_ids: Iterable[str] | None = None
    ) -> User:
        """A new account with PASSWORD. Technicians work at `self.site`, customers belong to `self.organisation`."""
        self._people += 1
        if organisation_id is None and Role.fleet_customer in roles:
            organisation_id = self.organisation.id
        if site_ids is None:
            site_ids = [self.site.id] if Role.technician in roles else []
        user = User(
            email=f"{roles[0]}{self._people}@efi.example.com",
            name=f"{roles[0].capitalize()} {self._people}",
            roles=list(roles),
            organisation_id=organisation_id,
            site_ids=list(site_ids),
            password_hash=password_hash(),
        )
        with acting_as(system("test")):
            await user.insert()
        return user

    async def signed_in(self, user: User) -> httpx.AsyncClient:
        """A client that calls as this user."""
        with acting_as(system("test")):
            session = Session(user_id=user.id, refresh_hash="", expires_at=user.created_at + timedelta(days=1))
            await session.insert()
        key, lifetime = self.settings.signing_key, timedelta(hours=1)
        token, _ = sign_access_token(user.id, session.id, key=key, lifetime=lifetime)
        return await self.anonymous(Authorization=f"Bearer {token}")

    async def as_role(self, *roles: Role, **account: Any) -> httpx.AsyncClient:
        """A client that calls as a new user with these roles; `account` as in `add_user`."""
        return await self.signed_in(await self.add_user(*roles, **account))


def settings_for_tests(url: str, database: str, data_dir: Any, **changes: Any) -> Settings:
    """No `.env` file is read, no starter knowledge loaded, and no event processed unless a test asks for it."""
    chosen: dict[str, Any] = {
        "env": "test",
        "mongo_url": url,
        "mongo_database": database,
        "data_dir": data_dir,
        "secret_key": "k" * 40,
        "admin_password": PASSWORD,
        "seed": False,
        "process_events": False,
        "embedder": "hashing",
    }
    return Settings(_env_file=None, **(chosen | changes))


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Api]:
    """The application, started; it stops afterwards."""
    app = create_app(settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        api = Api(app, stack)
        await api.set_up()
        yield api
