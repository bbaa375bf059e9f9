"""Organisations and sites: who the customers are, and where the work is done."""

from collections.abc import Iterable
from typing import Any, TypeVar

from pymongo.errors import DuplicateKeyError

from app.errors import Duplicate, NotFound, Stale
from app.security import Actor, Role
from models.account import Organisation, OrganisationContent, Site, SiteContent
from services.finding import containing
from services.paging import Page, page
from services.writing import update

Entry = TypeVar("Entry", Organisation, Site)
_SEES_ALL = (Role.technician, Role.expert, Role.admin, Role.service)


async def create(kind: type[Entry], content: OrganisationContent | SiteContent) -> Entry:
    """Add one. Raises Duplicate for a name that is taken."""
    entry = kind(**content.model_dump())
    try:
        await entry.insert()
    except DuplicateKeyError:
        raise _name_taken(content.name) from None
    return entry


async def get(kind: type[Entry], entry_id: str, actor: Actor) -> Entry:
    """Raises NotFound, also for what the actor may not see."""
    entry = await kind.find_one({"$and": [{"_id": entry_id}, _visible(kind, actor)]})
    if entry is None:
        raise NotFound.of(kind.__name__.lower(), entry_id)
    return entry


async def list_entries(kind: type[Entry], actor: Actor, *, limit: int = 50, after: str | None = None) -> Page[Entry]:
    return await page(kind, _visible(kind, actor), limit=limit, after=after)


async def search(
    kind: type[Entry], words: str, actor: Actor, *, limit: int, within: Iterable[str] | None = None
) -> list[Entry]:
    """Those that the actor may see and whose name, or city, holds every word, newest first; without words any.

    `within` narrows it down to these ids.
    """
    narrowed = _visible(kind, actor) | ({} if within is None else {"_id": {"$in": sorted(within)}})
    return await containing(kind, narrowed, words, ("name", "city") if kind is Site else ("name",), limit=limit)


async def replace(entry: Entry, content: OrganisationContent | SiteContent, *, revision: int) -> Entry:
    """Raises Stale unless `revision` is the current one, and Duplicate for a name that is taken."""
    if entry.revision != revision:
        raise Stale("Somebody else changed it; read it again.")
    try:
        return await update(entry, content.model_dump())
    except DuplicateKeyError:
        raise _name_taken(content.name) from None


async def shows_likely_causes(organisation_id: str) -> bool:
    """Whether an admin lets this organisation's people know what is suspected."""
    organisation = await Organisation.find_one({"_id": organisation_id})
    return organisation is not None and organisation.show_likely_causes


def _visible(kind: type[Entry], actor: Actor) -> dict[str, Any]:
    """Customers know their own organisation only. The workshops are known to everybody who may ask."""
    if kind is Site or actor.has(*_SEES_ALL):
        return {}
    return {"_id": actor.organisation_id}


def _name_taken(name: str) -> Duplicate:
    return Duplicate(
        f"The name {name!r} is taken.",
        errors=[{"field": "name", "rule": "must be unique, and this value is taken", "value": name}],
    )
