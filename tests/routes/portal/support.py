"""People with browsers, and what they look at."""

import functools
import re
import secrets
from pathlib import Path
from typing import Any

import httpx
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser, BrowserContext, Page

from app.security import Role, acting_as, hash_token, system
from models.account import Session, User
from routes.portal.visit import SESSION_COOKIE, ZONE_COOKIE
from services.accounts.sessions import actor_of
from tests.conftest import SCREENSHOTS
from tests.support import Api

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
]
HTML = {"accept": "text/html"}
TOKEN = re.compile(r'name="csrf_token" value="([0-9a-f]+)"')
BUDGET_BYTES = 30_000
"""What a phone may have to load for the first page."""
WIDTHS = {"phone": (390, 844), "laptop": (1280, 800)}


async def visitor(api: Api, user: User | None = None) -> httpx.AsyncClient:
    client = await api.anonymous(**HTML)
    if user is not None:
        with acting_as(system("test")):
            session = Session(
                user_id=user.id, refresh_hash=hash_token("s"), expires_at=user.created_at.replace(year=2099)
            )
            await session.insert()
        client.cookies.set("efi_session", f"{session.id}.s")
    return client


async def csrf_token(client: httpx.AsyncClient, path: str = "/account") -> str:
    found = TOKEN.search((await client.get(path)).text)
    assert found is not None
    return found[1]


class Portal:
    """The running portal, people who use it through browsers of their own, and what a test prepares in their name."""

    def __init__(self, api: Api, browser: Browser, url: str) -> None:
        self.api = api
        self.url = url
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    async def person(self, *roles: Role, **account: Any) -> User:
        return await self.api.add_user(*roles, **account)

    def as_actor(self, user: User) -> Any:
        return acting_as(actor_of(user))

    async def stranger(self, **options: Any) -> Page:
        """A page of somebody who is not signed in. Warnings in the console fail the test when it ends."""
        width, height = WIDTHS[options.pop("width", "laptop")]
        options = {"timezone_id": "Asia/Kolkata", "viewport": {"width": width, "height": height}} | options
        context = await self._browser.new_context(base_url=self.url, **options)
        context.set_default_timeout(30_000)
        self._contexts.append(context)
        return await context.new_page()

    async def browser_of(self, user: User, **options: Any) -> Page:
        """A page of somebody who is signed in."""
        page = await self.stranger(**options)
        secret = secrets.token_urlsafe(8)
        with acting_as(system("test")):
            session = Session(
                user_id=user.id, refresh_hash=hash_token(secret), expires_at=user.created_at.replace(year=2099)
            )
            await session.insert()
        cookies = {SESSION_COOKIE: f"{session.id}.{secret}", ZONE_COOKIE: "Asia/Kolkata"}
        await page.context.add_cookies(
            [{"name": name, "value": value, "url": self.url} for name, value in cookies.items()]
        )
        return page

    async def close_pages(self) -> None:
        while self._contexts:
            await self._contexts.pop().close()


@functools.cache
def _axe() -> str:
    return AXE_FILE_PATH.read_text(encoding="utf-8")


async def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it stands."""
    await page.evaluate(_axe())
    found = await page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


async def look(page: Page, name: str) -> None:
    """Take the page's picture at both widths, and check that it is accessible in both colours and fits a phone."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for device, (width, height) in WIDTHS.items():
        await page.set_viewport_size({"width": width, "height": height})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than a {device}"
        await page.screenshot(path=SCREENSHOTS / f"{name}-{width}.png", full_page=True)
    for colours in ("dark", "light"):
        await page.emulate_media(color_scheme=colours)
        found = await violations(page)
        assert not found, "\n".join([f"{name}, {colours}:", *found])
