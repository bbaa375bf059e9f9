"""Parts on tickets: allocated from stock, then used, returned or damaged, until no piece is outstanding."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app import clock
from app.database import in_transaction
from app.errors import Conflict, IllegalMove, Invalid, NotFound
from app.security import current_actor
from models.enums import PartUsageStatus, TicketStatus
from models.failure_card import RequiredPart
from models.part import Part, PartUsage
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.paging import Page
from services.repairs import costs, stock
from services.repairs.cards import required_parts
from services.repairs.queries import visible_page
from services.repairs.ticket_states import check_workable
from services.repairs.visibility import load_visible, sites_filter, works_at
from services.writing import update

INDEXES = [("ticket_id",), ("part_id",), ("failure_card_id",), ("site_id", "status"), ("status",)]


class NotOutstanding(Conflict):
    code, title = "not_outstanding", "So many pieces are not outstanding"


class Settling(StrEnum):
    """What can become of an allocated piece; the value is the status it leads to."""

    used = "used"
    returned = "returned"
    damaged = "damaged"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """How a part stands to the cards of its ticket; `card_id` is the card that asks for it, or for what it replaces."""

    card_id: str | None = None
    recommended: bool = False
    substitute_for: str = ""


def outstanding(usage: PartUsage) -> int:
    """Pieces allocated of which nobody has said yet what became of them."""
    return usage.quantity_allocated - usage.quantity_used - usage.quantity_returned - usage.quantity_damaged


async def allocate(ticket_id: str, part_id: str, quantity: int, *, substitute_for: str = "") -> PartUsage:
    """Take pieces from stock for a ticket.

    The part must lie at the ticket's site. Whether it was recommended, or replaces a part that was, follows from the
    cards selected for and suggested to the ticket; `substitute_for` says it where no card does. Raises NotFound,
    IllegalMove (the ticket is not being worked), InsufficientStock and Invalid.
    """

    async def work() -> PartUsage:
        ticket = await load_visible(ticket_id)
        check_workable(ticket.status, "given parts")
        part = await stock.load(part_id)
        if part.site_id != ticket.site_id:
            raise Invalid.field("part_id", "names a part at another site than the ticket's", part_id)
        advice = await _recommendation(ticket, part, substitute_for)
        await stock.move(part.id, on_hand=-quantity, allocated=quantity)
        now = clock.now()
        usage = PartUsage(
            ticket_id=ticket.id,
            site_id=part.site_id,
            part_id=part.id,
            part_name=part.part_name,
            part_number=part.part_number,
            category=part.category,
            quantity_allocated=quantity,
            unit_cost=part.unit_cost,
            failure_card_id=advice.card_id,
            was_recommended=advice.recommended,
            is_substitute=bool(advice.substitute_for),
            substitute_for=advice.substitute_for,
            allocated_at=now,
        )
        await usage.insert()
        return usage

    return await in_transaction(work)


async def settle(usage_id: str, how: Settling, quantity: int | None = None) -> PartUsage:
    """Say what became of `quantity` outstanding pieces, of all of them by default.

    Returned pieces go back to stock. Used ones are what the ticket is charged; damaged ones are the workshop's loss. A
    closed ticket still takes returns, but no more costs. Raises NotFound, NotOutstanding and IllegalMove.
    """

    async def work() -> PartUsage:
        usage = await load(usage_id)
        ticket = await _ticket_of(usage, how)
        pieces = _pieces(usage, how, quantity)
        returned = pieces if how is Settling.returned else 0
        await stock.move(usage.part_id, on_hand=returned, allocated=-pieces)
        settled = await update(usage, _settled(usage, how, pieces))
        if how is Settling.used:
            await update(ticket, await costs.summary(ticket.id, ticket.labor_cost))
        return settled

    return await in_transaction(work)


async def list_usage(
    *,
    ticket_id: str | None = None,
    part_id: str | None = None,
    site_id: str | None = None,
    status: PartUsageStatus | None = None,
    card_id: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[PartUsage]:
    """One page of the part usage at the sites that the current actor may see, newest first."""
    fields = {
        "ticket_id": ticket_id,
        "part_id": part_id,
        "site_id": site_id,
        "status": status,
        "failure_card_id": card_id,
    }
    query: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    return await visible_page(PartUsage, sites_filter(current_actor()), query, INDEXES, limit=limit, after=after)


async def load(usage_id: str) -> PartUsage:
    """The usage. Raises NotFound if there is none at a site that the current actor acts for."""
    usage = await PartUsage.find_one({"_id": usage_id})
    if usage is None or not works_at(current_actor(), usage.site_id):
        raise NotFound.of("part usage", usage_id)
    return usage


async def link(action: TechnicianAction) -> None:
    """Note the action on the part usage that it names. Raises Invalid unless each belongs to the action's ticket."""
    named = {f"parts_used.{n}.usage_id": part.usage_id for n, part in enumerate(action.parts_used) if part.usage_id}
    if not named:
        return
    collection = PartUsage.get_pymongo_collection()
    query = {"_id": {"$in": sorted(set(named.values()))}}
    of_ticket = {usage["_id"]: usage["ticket_id"] async for usage in collection.find(query, {"ticket_id": 1})}
    errors = [
        {"field": field, "rule": "names no part usage of this ticket", "value": usage_id}
        for field, usage_id in named.items()
        if of_ticket.get(usage_id) != action.ticket_id
    ]
    if errors:
        raise Invalid("; ".join(f"{error['field']}: {error['rule']}" for error in errors[:5]), errors=errors)
    change = {"$set": {"action_id": action.id, "updated_at": clock.now()}, "$inc": {"revision": 1}}
    await collection.update_many(query, change)


async def _ticket_of(usage: PartUsage, how: Settling) -> Ticket:
    ticket = await load_visible(usage.ticket_id)
    if ticket.status is TicketStatus.closed and how is not Settling.returned:
        raise IllegalMove(
            f"Ticket {ticket.id} is closed: what is left of its parts can only be returned.",
            current=usage.status,
            wanted=how,
            legal=[Settling.returned],
        )
    return ticket


def _pieces(usage: PartUsage, how: Settling, quantity: int | None) -> int:
    left = outstanding(usage)
    if left == 0:
        raise IllegalMove.between("part usage", usage.status, how, [])
    pieces = left if quantity is None else quantity
    if pieces > left:
        raise NotOutstanding(
            f"{left} of {usage.quantity_allocated} pieces are outstanding, not {pieces}.", outstanding=left
        )
    return pieces


def _settled(usage: PartUsage, how: Settling, pieces: int) -> dict[str, Any]:
    field = f"quantity_{how}"
    counts = {name: getattr(usage, name) for name in ("quantity_used", "quantity_returned", "quantity_damaged")}
    counts[field] += pieces
    changes: dict[str, Any] = {field: counts[field]}
    if how is Settling.used:
        changes["used_at"] = clock.now()
        if usage.unit_cost is not None:
            changes["total_cost"] = costs.total([usage.unit_cost * counts[field]], "quantity")
    if how is Settling.returned:
        changes["returned_at"] = clock.now()
    if sum(counts.values()) == usage.quantity_allocated:
        changes["status"] = _final_status(counts)
    return changes


def _final_status(counts: dict[str, int]) -> PartUsageStatus:
    """One word for a settled usage: a piece that was fitted weighs more than a broken one, that more than a spare."""
    if counts["quantity_used"]:
        return PartUsageStatus.used
    return PartUsageStatus.damaged if counts["quantity_damaged"] else PartUsageStatus.returned


async def _recommendation(ticket: Ticket, part: Part, substitute_for: str) -> Recommendation:
    """The first card that asks for the part, else the first that names it a substitute; the selected card leads."""
    cards = [ticket.selected_failure_card, *ticket.suggested_failure_cards]
    wanted = await required_parts(card_id for card_id in cards if card_id is not None)
    names = {part.part_number.casefold(), part.part_name.casefold()}
    for card_id, parts in wanted.items():
        if any(_is(required, names) for required in parts):
            return Recommendation(card_id, recommended=True, substitute_for=substitute_for)
    for card_id, parts in wanted.items():
        for required in parts:
            if _any_in(required.substitutes, names):
                return Recommendation(card_id, substitute_for=required.part_number or required.part_name)
    return Recommendation(substitute_for=substitute_for)


def _is(required: RequiredPart, names: set[str]) -> bool:
    return _any_in([required.part_number, required.part_name], names)


def _any_in(texts: Iterable[str], names: set[str]) -> bool:
    return any(text.casefold() in names for text in texts if text)
