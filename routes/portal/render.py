"""Templates, and how dates and ages are written in them."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from app import clock
from app.security import Role
from routes.portal import charts, diffs, options, trees
from routes.texts import share, text, word

HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    # Without any referrer browsers send forms from nowhere (`Origin: null`), and these would be refused.
    "Referrer-Policy": "same-origin",
    "Vary": "Cookie, Accept-Encoding",
}
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

NAVIGATION: tuple[tuple[str, str, frozenset[Role]], ...] = (
    ("tickets", "/tickets", frozenset({Role.technician, Role.expert, Role.fleet_customer, Role.admin})),
    ("reviews", "/reviews", frozenset({Role.expert, Role.admin})),
    ("knowledge", "/knowledge", frozenset({Role.technician, Role.expert, Role.admin, Role.oem, Role.manufacturer})),
    ("confidence", "/confidence", frozenset({Role.expert, Role.admin})),
    ("health", "/health", frozenset({Role.expert, Role.admin})),
    ("events", "/events", frozenset({Role.admin})),
    ("users", "/users", frozenset({Role.admin})),
    ("sites", "/sites", frozenset({Role.admin})),
    ("settings", "/settings", frozenset({Role.admin})),
    ("messages", "/messages", frozenset(Role) - {Role.service}),
)
"""What stands at the top of every page, and for whom."""


def words(values: Iterable[Any]) -> list[tuple[str, str]]:
    """Values of a closed vocabulary as a choice offers them."""
    return [(str(value), word(value)) for value in values]


def link(path: str, query: Mapping[str, Any] | None = None, **more: Any) -> str:
    """The path with those parameters that have a value."""
    given = {name: value for name, value in {**(query or {}), **more}.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def age(instant: datetime | None, now: datetime | None = None) -> str:
    """How long ago, in one unit."""
    if instant is None:
        return "–"
    seconds = max(0, round(((now or clock.now()) - instant).total_seconds()))
    for unit, length in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if seconds >= 2 * length:
            return text(f"age.{unit}", n=seconds // length)
    return text("age.now") if seconds < MINUTE else text("age.minutes", n=seconds // MINUTE)


def ago(instant: datetime) -> str:
    """When it was, within a sentence."""
    said = age(instant)
    return said if said == text("age.now") else text("age.ago", age=said)


def until(instant: datetime, now: datetime | None = None) -> str:
    """How long from now, in one unit."""
    return age(now or clock.now(), instant)


@pass_context
def moment(context: Context, instant: datetime | None, *, day_only: bool = False) -> Markup:
    """An instant in the visitor's time zone."""
    if instant is None:
        return Markup("–")
    zone: ZoneInfo = context["visit"].zone
    shown = instant.astimezone(zone).strftime("%d %b %Y" if day_only else "%d %b %Y, %H:%M")
    return Markup('<time datetime="{}">{}</time>').format(instant.isoformat(), shown)


def once() -> str:
    """A new key by which a form takes effect once, however often it is sent."""
    return secrets.token_urlsafe(12)


def lines(value: str) -> Markup:
    """Text with its line breaks."""
    return Markup("<br>").join(escape(line) for line in value.split("\n"))


def navigation(roles: frozenset[Role], path: str, unread: int) -> Markup:
    """The places that these roles may go to, the one of `path` marked, and how many messages wait."""
    places = tuple((name, place) for name, place, whose in NAVIGATION if not whose.isdisjoint(roles))
    if path.startswith("/cards/"):
        path = "/knowledge"  # which cards are part of
    here = next((name for name, place in places if path.startswith(place)), "")
    return _navigation(places, here, unread)


@lru_cache(maxsize=256)
def _navigation(places: tuple[tuple[str, str], ...], here: str, unread: int) -> Markup:
    return Markup(page("navigation.html", places=places, here=here, unread=unread))  # noqa: S704 - escaped by the template


@cache
def asset(name: str) -> str:
    """The address of a file of ours; it changes with the content, so that browsers may keep the file."""
    digest = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


@cache
def build() -> str:
    """Tells releases apart by all that pages are made of."""
    digest = hashlib.sha256()
    for path in sorted(path for path in HERE.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {
        "t": text,
        "link": link,
        "once": once,
        "asset": asset,
        "charts": charts,
        "diffs": diffs,
        "options": options,
        "words": words,
        "trees": trees,
        "Role": Role,
        "navigation": navigation,
    }
    environment.filters |= {"word": word, "age": age, "until": until, "share": share, "moment": moment, "lines": lines}
    return environment


def page(template: str, **values: Any) -> str:
    """The page as HTML. Everything that comes from people is escaped."""
    return _environment().get_template(template).render(**values)
