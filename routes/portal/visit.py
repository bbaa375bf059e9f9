"""One visit to a page: who comes, what their browser remembers, what they sent, and the page that answers.

The session cookie holds the session's refresh token, which is never exchanged here: several requests of one browser run
at once, and the cookie is out of every script's reach.
"""

import gzip
import hashlib
import hmac
import secrets
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.errors import Forbidden
from app.security import Actor, Role
from app.settings import Settings
from routes.portal import render
from routes.portal.forms import Form

E = TypeVar("E", bound=StrEnum)
SESSION_COOKIE = "efi_session"
VISITOR_COOKIE = "efi_visitor"
ZONE_COOKIE = "efi_zone"
THEME_COOKIE = "efi_theme"
YEAR_SECONDS = 365 * 24 * 3600
THEMES = ("auto", "light", "dark")
DEFAULT_ZONE = "Asia/Kolkata"
TOKEN_BYTES = 32
GZIP_LEVEL = 4
"""Beyond it, pages take longer to compress than they take less to send."""


@dataclass
class Visit:
    """`secret` is what the browser proves by its cookie; the CSRF token of its forms is derived from it. `unread`
    messages wait."""

    request: Request
    actor: Actor
    secret: str
    session_id: str | None = None
    unread: int = 0
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
        """The token, masked anew for each page: pages are compressed, and the length of what is compressed would tell
        a token that is always the same (BREACH)."""
        mask = secrets.token_bytes(TOKEN_BYTES)
        return (mask + _masked(self._token, mask)).hex()

    def require_csrf_token(self, given: str) -> None:
        """Raise Forbidden unless the form came from a page that this visitor was shown."""
        try:
            sent = bytes.fromhex(given)
        except ValueError:
            sent = b""
        if not hmac.compare_digest(_masked(sent[:TOKEN_BYTES], sent[TOKEN_BYTES:]), self._token):
            raise Forbidden(render.text("error.csrf"))

    @property
    def _token(self) -> bytes:
        message = f"csrf\0{self.secret}".encode()
        return hmac.digest(self.settings.signing_key.encode(), message, "sha256")

    def asked(self, kind: type[E], name: str) -> E | None:
        """The member of a closed vocabulary that the address names; None for none, and for what is none of it."""
        given = self.request.query_params.get(name)
        return kind(given) if given in list(kind) else None

    @property
    def after(self) -> str | None:
        """The cursor of the page of a list that the address asks for."""
        return self.request.query_params.get("after")

    def has(self, *roles: Role) -> bool:
        return self.actor.has(*roles)

    def page(self, template: str, *, status: int = 200, content: str = "", **values: Any) -> Response:
        """The page as this visitor sees it, compressed if their browser takes that.

        `content` is a digest of all that the page shows beside who is here: with it the browser may keep the page, and
        is told 304 when it asks again for what it has.
        """
        headers = dict(render.HEADERS)
        if content:
            tag = self._tag(content)
            headers |= {"ETag": tag, "Cache-Control": "private, no-cache"}
            if tag in self.request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
        html = render.page(template, visit=self, form=self.form, **values).encode()
        if "gzip" in self.request.headers.get("accept-encoding", ""):
            html = gzip.compress(html, GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return HTMLResponse(html, status, headers)

    def _tag(self, content: str) -> str:
        # Weak: the token of the page differs each time, and each time it is good.
        cookies, actor = self.request.cookies, self.actor
        shown = (
            content,
            self.session_id,
            self.secret,
            actor.name,
            sorted(actor.roles),
            self.theme,
            ZONE_COOKIE in cookies,
        )
        return f'W/"{hashlib.sha256(repr((*shown, render.build())).encode()).hexdigest()[:32]}"'

    def set_cookie(self, response: Response, name: str, value: str, *, seconds: int = YEAR_SECONDS) -> None:
        """A cookie that only this host gets, and no script."""
        response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=self._encrypted)

    @property
    def _encrypted(self) -> bool:
        return self.request.url.scheme == "https" or self.settings.public_url.startswith("https:")


def _masked(token: bytes, mask: bytes) -> bytes:
    """Masking again with the same mask takes it away. Empty where the lengths differ."""
    return bytes(one ^ other for one, other in zip(token, mask, strict=True)) if len(token) == len(mask) else b""


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
