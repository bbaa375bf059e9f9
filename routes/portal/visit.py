"""One visit to a page: who comes, what their browser remembers, what they sent, and the page that answers.

The session cookie holds the session's refresh token, which is never exchanged here: several requests of one browser run
at once, and the cookie is out of every script's reach.
"""

import gzip
import hmac
import secrets
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.errors import Forbidden
from app.security import Actor, Role
from app.settings import Settings
from routes.portal import render
from routes.portal.forms import Form

SESSION_COOKIE = "efi_session"
VISITOR_COOKIE = "efi_visitor"
ZONE_COOKIE = "efi_zone"
THEME_COOKIE = "efi_theme"
YEAR_SECONDS = 365 * 24 * 3600
THEMES = ("auto", "light", "dark")
DEFAULT_ZONE = "Asia/Kolkata"
DIGEST_BYTES = 32
COMPRESSION = 1
"""A fifth of the size for 0.2 ms; higher levels save little more."""


@dataclass
class Visit:
    """`secret` is what the browser proves by its cookie; the CSRF token of its forms is derived from it."""

    request: Request
    actor: Actor
    secret: str
    session_id: str | None = None
    form: Form = field(default_factory=Form)

    @property
    def settings(self) -> Settings:
        return self.request.app.state.settings

    @property
    def signed_in(self) -> bool:
        return self.session_id is not None

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The browser's time zone, which our script or the account page put into a cookie."""
        return zone_named(self.request.cookies.get(ZONE_COOKIE, "")) or zoneinfo.ZoneInfo(DEFAULT_ZONE)

    @property
    def theme(self) -> str:
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else "auto"

    @cached_property
    def csrf_token(self) -> str:
        """The visitor's token, masked anew for each page: pages are compressed, and the size of what is compressed
        would give away, guess by guess, a secret that always reads the same (BREACH)."""
        mask = secrets.token_bytes(DIGEST_BYTES)
        return mask.hex() + _xor(mask, self._csrf_digest()).hex()

    def require_csrf_token(self, given: str) -> None:
        """Raise Forbidden unless the form came from a page that this visitor was shown."""
        try:
            sent = bytes.fromhex(given)
        except ValueError:
            sent = b""
        if not hmac.compare_digest(_xor(sent[:DIGEST_BYTES], sent[DIGEST_BYTES:]), self._csrf_digest()):
            raise Forbidden(render.text("error.csrf"))

    def _csrf_digest(self) -> bytes:
        message = f"csrf\0{self.secret}".encode()
        return hmac.digest(self.settings.signing_key().encode(), message, "sha256")

    def has(self, *roles: Role) -> bool:
        return self.actor.has(*roles)

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """The page as this visitor sees it, compressed if their browser takes it so."""
        html = render.page(template, visit=self, form=self.form, **values).encode()
        headers = render.HEADERS | {"Vary": "Accept-Encoding"}
        if "gzip" in self.request.headers.get("accept-encoding", ""):
            html, headers = gzip.compress(html, COMPRESSION, mtime=0), headers | {"Content-Encoding": "gzip"}
        return HTMLResponse(html, status, headers)

    def set_cookie(self, response: Response, name: str, value: str, *, seconds: int = YEAR_SECONDS) -> None:
        """A cookie that only this host gets, and no script."""
        response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=self._encrypted)

    @property
    def _encrypted(self) -> bool:
        return self.request.url.scheme == "https" or self.settings.public_url.startswith("https:")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


def zone_named(name: str) -> zoneinfo.ZoneInfo | None:
    """The time zone of this name, None if there is none."""
    try:
        return zoneinfo.ZoneInfo(name) if name else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def see_other(path: str, query: Mapping[str, str] | None = None) -> Response:
    """Lead the browser to a page after a form has taken effect: reloading it sends nothing again."""
    return RedirectResponse(render.link(path, query), status_code=303)


def own_path(target: str) -> str:
    """`target` if it is a path of this service, else the start page: nobody is led to another host."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if safe else "/"
