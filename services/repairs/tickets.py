"""Tickets: taking them in, correcting and finding them. Their moves are in `ticket_moves`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from app import clock
from app.database import transaction
from app.errors import Conflict, Forbidden, Invalid, Stale
from app.security import Actor, Role, current_actor
from models.account import Organisation, Site
from models.enums import Priority, TicketCategory, TicketStatus
from models.event import Payload, TicketCreated
from models.record import ActorRef
from models.ticket import Correction, StatusChange, Ticket, TicketContent
from models.vehicle import Vehicle
from services import fault_codes
from services.events.record import record_all
from services.paging import Page, made_between
from services.repairs.queries import visible_page
from services.repairs.visibility import scope, sees_everything
from services.writing import update

VEHICLE_FIELDS = {
    "vehicle_type": "vehicle_type",
    "vehicle_make": "make",
    "vehicle_model": "model",
    "vehicle_year": "year",
    "vehicle_number": "registration",
    "vehicle_mileage_km": "mileage_km",
    "vehicle_firmware": "firmware",
}
"""What a ticket takes over from a known vehicle where its own field is empty."""

CORRECTIONS_KEPT = 50

INDEXES = [
    ("vehicle_id",),
    ("selected_failure_card",),
    ("assigned_technician_id", "status"),
    ("assigned_technician_id",),
    ("organisation_id",),
    ("vehicle_make", "vehicle_model"),
    ("site_id", "status"),
    ("site_id",),
    ("vehicle_make",),
    ("status",),
]


class TicketIsClosed(Conflict):
    code, title = "ticket_closed", "A closed ticket is not edited"


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """What to list; None asks for everything. `until` is exclusive; make and model as they stand on the ticket."""

    status: TicketStatus | None = None
    site_id: str | None = None
    organisation_id: str | None = None
    technician_id: str | None = None
    vehicle_id: str | None = None
    vehicle_make: str | None = None
    vehicle_model: str | None = None
    card_id: str | None = None
    priority: Priority | None = None
    category: TicketCategory | None = None
    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> dict[str, Any]:
        fields = {
            "status": self.status,
            "site_id": self.site_id,
            "organisation_id": self.organisation_id,
            "assigned_technician_id": self.technician_id,
            "vehicle_id": self.vehicle_id,
            "vehicle_make": self.vehicle_make,
            "vehicle_model": self.vehicle_model,
            "selected_failure_card": self.card_id,
            "priority": self.priority,
            "category": self.category,
        }
        query: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        return query | made_between("ticket", self.since, self.until)


async def list_tickets(wanted: TicketFilter, *, limit: int = 50, after: str | None = None) -> Page[Ticket]:
    """One page of the tickets that the current actor may see, newest first."""
    return await visible_page(Ticket, scope(current_actor()), wanted.query(), INDEXES, limit=limit, after=after)


async def create(content: TicketContent, *, site_id: str | None = None, organisation_id: str | None = None) -> Ticket:
    """Take in a ticket, with its event.

    A fleet customer's ticket belongs to their organisation, whatever is named. A technician's ticket is worked at their
    site; one who has several names it. Raises Invalid for ids that name nothing and for illegal fault codes.
    """
    actor = current_actor()
    vehicle = await _vehicle(content.vehicle_id, actor)
    fields = _fields(_filled(content, vehicle))
    fields["error_codes_reported"] = fault_codes.normalised(content.error_codes_reported, "error_codes_reported")
    ticket = Ticket(
        **fields,
        organisation_id=await _organisation(actor, organisation_id, vehicle),
        site_id=await _site(actor, site_id),
        created_by=actor.id,
    )
    ticket.status_history = [
        StatusChange(status=ticket.status, timestamp=ticket.created_at, updated_by=ActorRef.current())
    ]
    async with transaction():
        await ticket.insert()
        await record_for(ticket, TicketCreated(ticket_id=ticket.id))
    return ticket


async def edit(ticket: Ticket, changes: dict[str, Any], *, revision: int) -> Ticket:
    """Correct what was taken in: `changes` holds fields of TicketContent, None where one is to be emptied.

    Raises Stale unless `revision` is the current one, TicketIsClosed, and Invalid for what breaks a rule.
    """
    expect_revision(ticket, revision)
    if ticket.status is TicketStatus.closed:
        raise TicketIsClosed(f"Ticket {ticket.id} is closed; reopen it first.")
    before = _fields(ticket)
    try:
        content = TicketContent.model_validate(before | changes)
    except ValidationError as error:
        raise Invalid(
            "The ticket would break a rule.",
            errors=[
                {"field": ".".join(str(part) for part in fault["loc"]), "rule": fault["msg"]}
                for fault in error.errors(include_url=False)
            ],
        ) from None
    if changes.get("vehicle_id") and content.vehicle_id != ticket.vehicle_id:
        content = _filled(content, await _vehicle(content.vehicle_id, current_actor()))
    after = _fields(content)
    if "error_codes_reported" in changes:
        after["error_codes_reported"] = fault_codes.normalised(content.error_codes_reported, "error_codes_reported")
    changed = {name: value for name, value in after.items() if value != before[name]}
    if not changed:
        return ticket
    correction = Correction(timestamp=clock.now(), updated_by=ActorRef.current(), fields=list(changed))
    kept = {"$each": [correction], "$slice": -CORRECTIONS_KEPT}
    return await update(ticket, changed, push={"corrections": kept})


def expect_revision(ticket: Ticket, revision: int | None) -> None:
    """Raise Stale if the caller has read another revision than the present one; None asks for nothing."""
    if revision is not None and revision != ticket.revision:
        raise Stale(f"Ticket {ticket.id} is at revision {ticket.revision}, not {revision}: read it again.")


async def record_for(ticket: Ticket, *payloads: Payload) -> None:
    """Record events of the ticket's site and organisation. Only within a transaction."""
    await record_all(list(payloads), site_id=ticket.site_id, organisation_id=ticket.organisation_id)


def status_change(status: TicketStatus, note: str = "", at: datetime | None = None) -> StatusChange:
    """An entry of the status history, by the current actor."""
    return StatusChange(status=status, timestamp=at or clock.now(), updated_by=ActorRef.current(), note=note)


def _fields(content: TicketContent) -> dict[str, Any]:
    """What TicketContent holds, and nothing that a class derived from it adds."""
    return {name: getattr(content, name) for name in TicketContent.model_fields}


async def _vehicle(vehicle_id: str | None, actor: Actor) -> Vehicle | None:
    if vehicle_id is None:
        return None
    vehicle = await Vehicle.find_one({"_id": vehicle_id})
    customer_only = not sees_everything(actor) and not actor.has(Role.technician)
    foreign = vehicle is not None and not vehicle.is_catalogue and vehicle.organisation_id != actor.organisation_id
    if vehicle is None or (customer_only and foreign):
        raise Invalid.field("vehicle_id", "names no vehicle that you may see", vehicle_id)
    return vehicle


def _filled(content: TicketContent, vehicle: Vehicle | None) -> TicketContent:
    if vehicle is None:
        return content
    known = {ours: getattr(vehicle, theirs) for ours, theirs in VEHICLE_FIELDS.items()}
    return content.model_copy(
        update={name: value for name, value in known.items() if getattr(content, name) in (None, "")}
    )


async def _organisation(actor: Actor, named: str | None, vehicle: Vehicle | None) -> str | None:
    if not sees_everything(actor) and not actor.has(Role.technician):
        if actor.organisation_id is None:
            raise Forbidden("Your account belongs to no organisation yet; an admin assigns it to one.")
        return actor.organisation_id
    if named is None:
        return vehicle.organisation_id if vehicle else None
    if await Organisation.find_one({"_id": named}) is None:
        raise Invalid.field("organisation_id", "names no organisation", named)
    return named


async def _site(actor: Actor, named: str | None) -> str | None:
    if named is not None and await Site.find_one({"_id": named}) is None:
        raise Invalid.field("site_id", "names no site", named)
    if sees_everything(actor) or not actor.has(Role.technician):
        return named
    if named is None and len(actor.site_ids) == 1:
        return next(iter(actor.site_ids))
    if named not in actor.site_ids:
        own = ", ".join(sorted(actor.site_ids)) or "none yet"
        raise Invalid.field("site_id", f"must be one of your own sites: {own}", named)
    return named
