"""Tickets: a vehicle comes in, is worked and goes out."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Path, Query, Response

from app.ids import Id
from models.enums import Priority, TicketCategory, TicketStatus
from models.ticket import Ticket
from models.types import Name, UtcDatetime
from routes.api.deps import CurrentActor, CurrentSettings, IfMatch, OptionalIfMatch, PageQuery, etag
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import PageOut
from routes.api.ticket_schemas import (
    Assignment,
    Closing,
    HistoryOut,
    LikelyCauseOut,
    LikelyCausesOut,
    NewTicket,
    Progress,
    Reopening,
    ResolutionReport,
    TicketEdit,
    TicketEventOut,
    TicketOut,
)
from services.diagnosis import likely_causes
from services.diagnosis.guided import overrides
from services.events.log import EventFilter, list_events
from services.repairs import ticket_moves, tickets
from services.repairs.tickets import TicketFilter
from services.repairs.visibility import load_visible

router = api_router("/tickets", tag="tickets")


async def _load(ticket_id: Annotated[Id, Path()]) -> Ticket:
    return await load_visible(ticket_id)


CurrentTicket = Annotated[Ticket, Depends(_load)]
"""The ticket of the path, if the caller may see it; else 404."""


async def _as_read(ticket: CurrentTicket, revision: OptionalIfMatch) -> Ticket:
    tickets.expect_revision(ticket, revision)
    return ticket


TicketAsRead = Annotated[Ticket, Depends(_as_read)]
"""The ticket of the path; 412 if the caller sent an If-Match and it has changed since."""


async def _filter(
    actor: CurrentActor,
    status: TicketStatus | None = None,
    site_id: Id | None = None,
    organisation_id: Id | None = None,
    technician_id: Annotated[Id | None, Query(description="Assigned to this technician.")] = None,
    mine: Annotated[bool, Query(description="Assigned to the caller; overrides `technician_id`.")] = False,
    vehicle_id: Id | None = None,
    make: Annotated[Name | None, Query(description="As it stands on the ticket.")] = None,
    model: Annotated[Name | None, Query(description="As it stands on the ticket.")] = None,
    card_id: Annotated[Id | None, Query(description="The failure card selected.")] = None,
    priority: Priority | None = None,
    category: TicketCategory | None = None,
    since: Annotated[UtcDatetime | None, Query(description="Created at this instant or later.")] = None,
    until: Annotated[UtcDatetime | None, Query(description="Created before this instant.")] = None,
) -> TicketFilter:
    return TicketFilter(
        status=status,
        site_id=site_id,
        organisation_id=organisation_id,
        technician_id=actor.id if mine else technician_id,
        vehicle_id=vehicle_id,
        vehicle_make=make,
        vehicle_model=model,
        card_id=card_id,
        priority=priority,
        category=category,
        since=since,
        until=until,
    )


@router.post("", status_code=201, responses=problems(409))
async def create_ticket(body: NewTicket, response: Response) -> TicketOut:
    """Take in a ticket. Suggestions of known failures follow by themselves, a moment later."""
    ticket = await tickets.create(body, site_id=body.site_id, organisation_id=body.organisation_id)
    return _shown(ticket, response)


@router.get("")
async def list_tickets(page: PageQuery, wanted: Annotated[TicketFilter, Depends(_filter)]) -> PageOut[TicketOut]:
    """Newest first. A technician sees the tickets of their sites, a fleet customer those of their organisation."""
    return PageOut[TicketOut].of(await tickets.list_tickets(wanted, **page.as_arguments()))


@router.get("/{ticket_id}", responses=problems(404))
async def get_ticket(ticket: CurrentTicket, response: Response) -> TicketOut:
    return _shown(ticket, response)


@router.patch("/{ticket_id}", responses=problems(404, 409, 412, 428))
async def edit_ticket(ticket: CurrentTicket, body: TicketEdit, revision: IfMatch, response: Response) -> TicketOut:
    """Correct what was taken in. What is left out stays; null empties a field that may be empty."""
    changes = body.model_dump(exclude_unset=True)
    return _shown(await tickets.edit(ticket, changes, revision=revision), response)


@router.post("/{ticket_id}/assign", responses=problems(404, 409, 412))
async def assign_ticket(ticket: TicketAsRead, body: Assignment, response: Response) -> TicketOut:
    """Give the ticket to a technician who works at its site."""
    return _shown(await ticket_moves.assign(ticket, body.technician_id, site_id=body.site_id), response)


@router.post("/{ticket_id}/progress", responses=problems(404, 409, 412))
async def progress_ticket(ticket: TicketAsRead, body: Progress, response: Response) -> TicketOut:
    """Start the work, wait for parts, or go on."""
    return _shown(await ticket_moves.progress(ticket, body.status, body.note), response)


@router.post("/{ticket_id}/resolve", responses=problems(404, 409, 412))
async def resolve_ticket(ticket: TicketAsRead, body: ResolutionReport, response: Response) -> TicketOut:
    """Record the outcome. The card that was used gains or loses confidence by it.

    Refused once (`check_missed`) while a cheap check that decides about the card has not been made, unless its repair
    was seen to help. With a reason it goes on, and the reason is kept.
    """
    return _shown(await overrides.resolve(ticket, body.resolution_only(), body.override()), response)


@router.post("/{ticket_id}/close", responses=problems(404, 409, 412))
async def close_ticket(ticket: TicketAsRead, body: Closing, response: Response) -> TicketOut:
    """Close a resolved ticket."""
    return _shown(await ticket_moves.close(ticket, body.note), response)


@router.post("/{ticket_id}/reopen", responses=problems(404, 409, 412))
async def reopen_ticket(
    ticket: TicketAsRead, body: Reopening, settings: CurrentSettings, response: Response
) -> TicketOut:
    """The vehicle came back with the same failure. Within the return window the success is taken back."""
    window = timedelta(days=settings.return_window_days)
    return _shown(await ticket_moves.reopen(ticket, body.reason, return_window=window), response)


@router.get("/{ticket_id}/history", responses=problems(404))
async def get_ticket_history(ticket: CurrentTicket) -> HistoryOut:
    """Every change of status, oldest first."""
    return HistoryOut(items=ticket.status_history)


@router.get("/{ticket_id}/likely-causes", responses=problems(403, 404))
async def get_likely_causes(ticket: CurrentTicket) -> LikelyCausesOut:
    """What was suspected when the ticket came in. Customers are told where an admin allows it for their organisation,
    else refused (`likely_causes_withheld`)."""
    return LikelyCausesOut(items=[LikelyCauseOut.model_validate(one) for one in await likely_causes.of(ticket)])


@router.get("/{ticket_id}/events", responses=problems(404))
async def list_ticket_events(ticket: CurrentTicket, page: PageQuery) -> PageOut[TicketEventOut]:
    """What happened on the ticket and because of it, newest first."""
    return PageOut[TicketEventOut].of(await list_events(EventFilter(ticket_id=ticket.id), **page.as_arguments()))


def _shown(ticket: Ticket, response: Response) -> TicketOut:
    etag(response, ticket.revision)
    return TicketOut.model_validate(ticket)
