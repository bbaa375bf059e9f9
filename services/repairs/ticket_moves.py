"""The way of a ticket: assigned, worked, resolved, closed, reopened. State and event commit together."""

from datetime import timedelta
from typing import Any

from app import clock
from app.database import transaction
from app.errors import Forbidden, Invalid
from app.security import Role, current_actor
from models.account import User
from models.enums import TicketStatus
from models.event import ActionStarted, Payload, TicketAssigned, TicketClosed, TicketInProgress, TicketResolved
from models.ticket import Resolution, Ticket
from services.repairs import costs
from services.repairs.cards import require_cards
from services.repairs.ticket_states import Move, check, check_workable
from services.repairs.tickets import record_for, status_change
from services.repairs.visibility import works_at
from services.writing import update


def round_of(ticket: Ticket) -> int:
    """Which passage the ticket is in, from 1: every revisit adds one."""
    return ticket.revisit_count + 1


async def assign(ticket: Ticket, technician_id: str, *, site_id: str | None = None) -> Ticket:
    """Give the ticket to a technician. A ticket without a site goes to the technician's, or to the one named.

    Naming another site than the ticket's moves the ticket there, which takes somebody who acts for that site. Assigning
    the present technician again changes nothing. Raises Invalid where the technician cannot work it.
    """
    check_workable(ticket.status, "assigned")
    technician = await _technician(technician_id)
    site = _site_for(ticket, technician, site_id)
    if (ticket.assigned_technician_id, ticket.site_id) == (technician.id, site):
        return ticket
    payload = TicketAssigned(
        ticket_id=ticket.id,
        technician_id=technician.id,
        previous_technician_id=ticket.assigned_technician_id,
    )
    changes = {
        "assigned_technician_id": technician.id,
        "assigned_technician_name": technician.name,
        "assigned_at": clock.now(),
        "site_id": site,
    }
    async with transaction():
        assigned = await update(ticket, changes)
        await record_for(assigned, payload)
    return assigned


async def progress(ticket: Ticket, status: TicketStatus, note: str = "") -> Ticket:
    """Start, wait for parts (`pending_parts`) or go on (`in_progress`). Raises IllegalMove."""
    check(Move.progress, ticket.status, status)
    payloads: list[Payload] = [
        TicketInProgress(ticket_id=ticket.id, status=status, previous_status=ticket.status, note=note)
    ]
    if ticket.status is TicketStatus.open:
        who = ticket.assigned_technician_id or current_actor().id
        payloads.append(ActionStarted(ticket_id=ticket.id, technician_id=who, started_at=clock.now()))
    return await _move(ticket, status, {}, *payloads, note=note)


async def resolve(ticket: Ticket, resolution: Resolution) -> Ticket:
    """Record how it was resolved, and what it cost.

    Without a card named, the one selected while it was worked counts. Labour adds up over the passages of a ticket.
    Raises IllegalMove, and Invalid if the card does not exist.
    """
    check(Move.resolve, ticket.status, TicketStatus.resolved)
    await require_cards({"selected_failure_card": resolution.selected_failure_card})
    labour = [cost for cost in (ticket.labor_cost, resolution.labor_cost) if cost is not None]
    labor_cost = costs.total(labour, "labor_cost")
    passage = round_of(ticket)
    card_id = resolution.selected_failure_card or ticket.selected_failure_card
    changes = {
        **resolution.model_dump(exclude={"new_failure_discovered"}),
        "selected_failure_card": card_id,
        "labor_hours": ticket.labor_hours + resolution.labor_hours,
        "labor_cost": labor_cost,
        "new_failure_discovered": ticket.new_failure_discovered or resolution.new_failure_discovered,
        "resolution_count": passage,
        "resolved_at": clock.now(),
        **await costs.summary(ticket.id, labor_cost),
    }
    payload = TicketResolved(
        ticket_id=ticket.id,
        resolution_round=passage,
        card_id=card_id,
        resolution_successful=resolution.resolution_successful,
        customer_satisfaction=resolution.customer_satisfaction,
        revisit_required=resolution.revisit_required,
    )
    return await _move(ticket, TicketStatus.resolved, changes, payload)


async def close(ticket: Ticket, note: str = "") -> Ticket:
    """Close a resolved ticket. Raises IllegalMove."""
    check(Move.close, ticket.status, TicketStatus.closed)
    payload = TicketClosed(ticket_id=ticket.id)
    return await _move(ticket, TicketStatus.closed, {"closed_at": clock.now()}, payload, note=note)


async def reopen(ticket: Ticket, reason: str, *, return_window: timedelta) -> Ticket:
    """Take the vehicle in again for the same failure: a revisit, unless the ticket was closed without ever being
    resolved, as imported history is.

    The card selected and the outcome are let go: the next passage has its own, and `ticket.resolved` keeps what was
    said. Raises IllegalMove.
    """
    check(Move.reopen, ticket.status, TicketStatus.in_progress)
    revisit = ticket.resolution_count > 0
    within = ticket.resolved_at is not None and clock.now() - ticket.resolved_at <= return_window
    payload = TicketInProgress(
        ticket_id=ticket.id,
        status=TicketStatus.in_progress,
        previous_status=ticket.status,
        revisit=revisit,
        revisit_of_round=ticket.resolution_count if revisit else None,
        within_return_window=revisit and within,
        note=reason,
    )
    changes = {
        "revisit_count": ticket.revisit_count + revisit,
        "selected_failure_card": None,
        "resolution_successful": None,
        "customer_satisfaction": None,
        "revisit_required": False,
        "resolved_at": None,
        "closed_at": None,
        "reopened_at": clock.now(),
    }
    return await _move(ticket, TicketStatus.in_progress, changes, payload, note=reason)


async def _move(
    ticket: Ticket, status: TicketStatus, changes: dict[str, Any], *payloads: Payload, note: str = ""
) -> Ticket:
    async with transaction():
        moved = await update(
            ticket, {**changes, "status": status}, push={"status_history": status_change(status, note)}
        )
        await record_for(moved, *payloads)
    return moved


async def _technician(technician_id: str) -> User:
    technician = await User.find_one({"_id": technician_id})
    if technician is None:
        raise Invalid.field("technician_id", "names no user", technician_id)
    if not technician.active:
        raise Invalid.field("technician_id", "names a deactivated user", technician_id)
    if Role.technician not in technician.roles:
        raise Invalid.field("technician_id", "names a user without the role technician", technician_id)
    return technician


def _site_for(ticket: Ticket, technician: User, named: str | None) -> str:
    if named is not None and named != ticket.site_id and not works_at(current_actor(), named):
        raise Forbidden(f"You do not act for site {named}.")
    site = named or ticket.site_id
    if site is None and len(technician.site_ids) == 1:
        return technician.site_ids[0]
    if site is None:
        raise Invalid.field("site_id", "the ticket has no site yet: name one of the technician's")
    if site not in technician.site_ids:
        raise Invalid.field("technician_id", f"names a technician who does not work at site {site}", technician.id)
    return site
