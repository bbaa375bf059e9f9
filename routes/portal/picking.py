"""Choosing one of many: while there are few, all of them are offered; beyond that, what is found by typing.

The field to type in stands in the form itself. With our script what is found appears while typing; without it the
button beside the field sends the form, which is shown again with what was found, and saves nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.responses import Response

from app.errors import Invalid, NotFound
from app.security import Role
from models.account import Organisation, Site
from models.record import Record
from routes.portal import options, render
from routes.portal.forms import Form
from routes.portal.http import CurrentVisit, page_router
from routes.portal.options import Options
from routes.portal.visit import Visit
from services.accounts import directory, vehicles
from services.paging import MAX_LIMIT
from services.repairs import stock
from services.repairs.visibility import sees_everything

router = page_router()

FEW = 25
"""So many are offered at once: what one looks through quicker than one types."""
FOUND = 8
STEP = "find-"
"""Begins the name of the buttons that look for something."""
R = TypeVar("R", bound=Record)

Search = Callable[[str, int], Awaitable[list[R]]]
"""Those that hold all words, at most so many."""
Get = Callable[[str], Awaitable[R]]
"""One by its id. Raises NotFound."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a form offers for `name`. `every`: there are no others; else the form searches under `source`."""

    name: str
    source: str
    options: Options
    every: bool = False
    more: bool = False
    words: str = ""
    chosen: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Source:
    """Where something is found, and what is said of it."""

    path: str
    search: Search
    get: Get
    shown: Callable[[list], Options]


def fleet(visit: Visit) -> Source:
    actor = visit.actor
    return Source(
        "/pick/vehicles",
        lambda words, limit: vehicles.search(words, actor, limit=limit),
        lambda one: vehicles.get(one, actor),
        options.vehicles,
    )


def entries(visit: Visit, kind: type[Site] | type[Organisation]) -> Source:
    """Customers' organisations, or the workshops that the visitor acts for."""
    actor = visit.actor
    own = actor.site_ids if actor.has(Role.technician) else ()
    within = None if kind is Organisation or sees_everything(actor) else own
    path = "/pick/sites" if kind is Site else "/pick/organisations"
    return Source(
        path,
        lambda words, limit: directory.search(kind, words, actor, limit=limit, within=within),
        lambda one: directory.get(kind, one, actor),
        options.named,
    )


def shelf(site_id: str) -> Source:
    """Parts on hand at a workshop."""
    return Source(
        render.link("/pick/parts", site=site_id),
        lambda words, limit: stock.search(words, site_id=site_id, limit=limit),
        stock.load,
        lambda parts: options.parts((part, False) for part in parts),
    )


async def offer(form: Form, name: str, source: Source, *, chosen: list[str] | None = None) -> Offer:
    """What the form shows: all of a few, else what was chosen and what its words find."""
    first = await source.search("", FEW + 1)
    picked = form.all(name) if form.values else chosen or []
    if len(first) <= FEW:
        shown = sorted(source.shown(first), key=lambda pair: pair[1].casefold())
        return Offer(name, source.path, shown, every=True, chosen=picked)
    return await _found(name, source, form.get(f"{name}_find"), picked)


async def _found(name: str, source: Source, words: str, picked: list[str]) -> Offer:
    kept = [one for chosen in picked[:MAX_LIMIT] if (one := await _one(source, chosen)) is not None]
    found = await source.search(words, FOUND + 1) if words else []
    ids = {one.id for one in kept}
    fresh = [one for one in found[:FOUND] if one.id not in ids]
    shown = source.shown([*kept, *fresh])
    return Offer(name, source.path, shown, more=len(found) > FOUND, words=words, chosen=[one.id for one in kept])


async def _one(source: Source, identifier: str) -> Record | None:
    try:
        return await source.get(identifier)
    except NotFound:
        return None


def looking(form: Form) -> bool:
    """Whether the form was sent to find something. Without words it was the key Enter in another field that pressed
    the button: then the form is meant."""
    step = form.get("step")
    return step.startswith(STEP) and bool(form.get(f"{step.removeprefix(STEP)}_find"))


async def settle(form: Form, name: str, source: Source) -> None:
    """Take words that lead to one only for the choice. Raises Invalid where they do not and nothing, not even "none of
    these", was chosen."""
    words = form.get(f"{name}_find")
    if not words or name in form.values:
        return
    found = await source.search(words, 2)
    if len(found) != 1:
        raise Invalid.field(name, render.text("pick.choose" if found else "pick.nothing"))
    form.values[name] = [found[0].id]


async def _answer(visit: Visit, source: Source) -> Response:
    """What was found, for our script."""
    asked = visit.request.query_params
    name = asked.get("name", "")[:40]
    found = await _found(name, source, asked.get("q", ""), asked.getlist("chosen"))
    return visit.page("pick.html", offer=found, type="checkbox" if asked.get("type") == "checkbox" else "radio")


@router.get("/pick/vehicles")
async def pick_vehicle(visit: CurrentVisit) -> Response:
    return await _answer(visit, fleet(visit))


@router.get("/pick/parts")
async def pick_part(visit: CurrentVisit) -> Response:
    return await _answer(visit, shelf(visit.request.query_params.get("site", "")))


@router.get("/pick/sites")
async def pick_site(visit: CurrentVisit) -> Response:
    return await _answer(visit, entries(visit, Site))


@router.get("/pick/organisations")
async def pick_organisation(visit: CurrentVisit) -> Response:
    return await _answer(visit, entries(visit, Organisation))
