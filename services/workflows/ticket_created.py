"""Workflow 1 (specification, §4.2): a ticket comes in and is given the known failures that may explain it."""

from typing import Any

import structlog
from pymongo.errors import PyMongoError

from app.errors import EfiError
from models.event import EfiEvent, TicketCreated
from models.ticket import Ticket
from services.diagnosis import matches
from services.events.handler import handles_as

log = structlog.get_logger(__name__)


@handles_as("matching")
async def suggest_cards(event: EfiEvent) -> dict[str, Any]:
    """Match the ticket and note the suggestions on it; records match.requested and match.completed or match.failed."""
    created = TicketCreated.model_validate(event.data)
    ticket = await Ticket.find_one({"_id": created.ticket_id})
    if ticket is None:
        return {"skipped": "no such ticket"}
    try:
        matched = await matches.match_ticket(ticket)
    except (PyMongoError, EfiError):
        raise  # passes: the processor tries again
    except Exception as error:
        # The matcher itself fails on this text and would again: that is to be seen, and not to be repeated.
        log.exception("matching failed", ticket_id=ticket.id)
        await matches.note_failure(ticket, f"{type(error).__name__}: {error}")
        return {"failed": str(error)[:500]}
    return {"matches_found": len(matched.result.candidates)}
