"""Parts in stock, site by site. What is on hand never falls below zero, whoever takes at the same time."""

from collections.abc import Iterable
from typing import Any

from pymongo.errors import DuplicateKeyError

from app import clock
from app.database import in_transaction
from app.errors import Conflict, Duplicate, Invalid, NotFound, Stale
from app.security import current_actor
from models.account import Site
from models.part import MAX_QUANTITY, Part, PartContent, StockChange
from models.record import ActorRef
from services.finding import containing
from services.paging import MAX_LIMIT, Page
from services.repairs.queries import visible_page
from services.repairs.visibility import sites_filter, works_at
from services.writing import update

KEPT_CHANGES = 100
INDEXES = [("part_number",), ("site_id",)]


class InsufficientStock(Conflict):
    code, title = "insufficient_stock", "There are not enough pieces on hand"


async def add_part(content: PartContent, *, site_id: str, quantity: int = 0) -> Part:
    """Stock a new part at a site. Raises Duplicate if the site has that part number already."""
    if not works_at(current_actor(), site_id) or await Site.find_one({"_id": site_id}) is None:
        raise Invalid.field("site_id", "names no site that you act for", site_id)
    fields = {name: getattr(content, name) for name in PartContent.model_fields}
    part = Part(**fields, site_id=site_id, quantity_on_hand=quantity)
    if quantity:
        part.stock_changes = [_change(quantity, "first stock")]
    twice = f"Site {site_id} has part number {content.part_number!r} already."
    if await Part.find_one({"site_id": site_id, "part_number": content.part_number}) is not None:
        raise Duplicate(twice)
    try:
        await part.insert()
    except DuplicateKeyError:
        raise Duplicate(twice) from None
    return part


async def list_parts(
    *, site_id: str | None = None, part_number: str | None = None, limit: int = 50, after: str | None = None
) -> Page[Part]:
    """One page of the parts at the sites that the current actor may see, newest first."""
    fields = {"site_id": site_id, "part_number": part_number}
    query: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    return await visible_page(Part, sites_filter(current_actor()), query, INDEXES, limit=limit, after=after)


async def search(words: str, *, site_id: str, limit: int) -> list[Part]:
    """Parts on hand at a site that the current actor acts for, whose name or number holds every word, newest first;
    without words any. Of so many that match, MAX_LIMIT are looked at."""
    if not works_at(current_actor(), site_id):
        return []
    found = await containing(Part, {"site_id": site_id}, words, ("part_name", "part_number"), limit=MAX_LIMIT)
    return [part for part in found if part.quantity_on_hand > 0][:limit]


async def on_hand(named: Iterable[str], *, site_id: str) -> list[Part]:
    """Parts on hand at a site that the current actor acts for, whose number or whole name is one of these."""
    wanted = sorted(filter(None, set(named)))
    if not wanted or not works_at(current_actor(), site_id):
        return []
    by_number = await Part.find({"site_id": site_id, "part_number": {"$in": wanted}}).to_list()
    by_name = await Part.find({"site_id": site_id, "part_name": {"$in": wanted}}).to_list()
    found = {part.id: part for part in (*by_number, *by_name)}
    return [part for part in found.values() if part.quantity_on_hand > 0]


async def load(part_id: str) -> Part:
    """The part. Raises NotFound if there is none at a site that the current actor acts for."""
    part = await Part.find_one({"_id": part_id})
    if part is None or not works_at(current_actor(), part.site_id):
        raise NotFound.of("part", part_id)
    return part


async def edit(part: Part, content: PartContent, *, revision: int) -> Part:
    """Replace what is known of the part; quantities stay. Raises Stale, and Duplicate for a part number taken."""
    if revision != part.revision:
        raise Stale(f"Part {part.id} is at revision {part.revision}, not {revision}: read it again.")
    twice = f"Site {part.site_id} has part number {content.part_number!r} already."
    namesake = await Part.find_one({"site_id": part.site_id, "part_number": content.part_number})
    if namesake is not None and namesake.id != part.id:
        raise Duplicate(twice)
    try:
        return await update(part, content.model_dump())
    except DuplicateKeyError:
        raise Duplicate(twice) from None


async def adjust(part: Part, quantity: int, reason: str) -> Part:
    """Count pieces in (positive) or out (negative). Raises InsufficientStock rather than fall below zero."""
    if quantity == 0:
        raise Invalid.field("quantity", "must not be zero")
    push = {"stock_changes": {"$each": [_change(quantity, reason)], "$slice": -KEPT_CHANGES}}
    return await move(part.id, on_hand=quantity, push=push)


async def move(part_id: str, *, on_hand: int = 0, allocated: int = 0, push: dict[str, Any] | None = None) -> Part:
    """Add to both counts at once.

    Raises NotFound, and InsufficientStock if one would fall below zero or pass what a count may hold; then nothing is
    written. Whoever takes from the same part at the same time conflicts and repeats.
    """

    async def work() -> Part:
        part = await Part.find_one({"_id": part_id})
        if part is None:
            raise NotFound.of("part", part_id)
        counts = (part.quantity_on_hand + on_hand, part.quantity_allocated + allocated)
        if min(counts) < 0 or max(counts) > MAX_QUANTITY:
            raise InsufficientStock(
                f"{part.part_name} ({part.part_number}): {part.quantity_on_hand} on hand, "
                f"{part.quantity_allocated} allocated.",
                quantity_on_hand=part.quantity_on_hand,
                quantity_allocated=part.quantity_allocated,
            )
        return await update(part, {}, inc={"quantity_on_hand": on_hand, "quantity_allocated": allocated}, push=push)

    return await in_transaction(work)


def _change(quantity: int, reason: str) -> StockChange:
    return StockChange(timestamp=clock.now(), quantity=quantity, reason=reason, updated_by=ActorRef.current())
