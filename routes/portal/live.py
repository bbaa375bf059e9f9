"""Server-sent events: a page is told that something changed, and fetches what it shows. What changed is not said here,
so that nothing has to be hidden from anybody."""

from collections.abc import AsyncIterator, Callable

from starlette.responses import Response, StreamingResponse

from app.security import Role
from models.event import EfiEvent
from routes.portal.http import CurrentVisit, page_router
from routes.portal.tickets import CurrentTicket
from services.events import log
from services.events.log import EventFilter
from services.repairs.visibility import works_at

router = page_router()

SECONDS = 240
"""Browsers connect again by themselves, and then prove again who they are."""


@router.get("/tickets/live")
async def follow_tickets(visit: CurrentVisit) -> Response:
    """Whatever happens to tickets that the visitor may see."""

    def concerns(event: EfiEvent) -> bool:
        own = visit.has(Role.fleet_customer) and event.organisation_id == visit.actor.organisation_id
        return event.event_type.startswith("ticket.") and (own or works_at(visit.actor, event.site_id))

    return _stream(EventFilter(), concerns)


@router.get("/tickets/{ticket_id}/live")
async def follow_ticket(ticket: CurrentTicket) -> Response:
    return _stream(EventFilter(ticket_id=ticket.id))


@router.get("/reviews/live")
async def follow_reviews() -> Response:
    """Whatever happens to cards."""
    return _stream(EventFilter(), lambda event: event.event_type.startswith("card."))


@router.get("/events/live")
async def follow_events() -> Response:
    return _stream(EventFilter())


def _stream(wanted: EventFilter, concerns: Callable[[EfiEvent], bool] = lambda _: True) -> Response:
    return StreamingResponse(
        _lines(wanted, concerns), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _lines(wanted: EventFilter, concerns: Callable[[EfiEvent], bool]) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    changed = False
    async for event in log.follow(wanted, last_seen=None, seconds=SECONDS):
        if event is not None:
            changed = changed or concerns(event)
            continue
        # Told once for all that came together.
        yield "event: changed\ndata: \n\n" if changed else ":\n\n"
        changed = False
