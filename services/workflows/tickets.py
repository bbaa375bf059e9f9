"""Whom a ticket concerns."""

from typing import Any

from models.event import EfiEvent, TicketAssigned
from models.ticket import Ticket
from services.engagement.notifications import notify
from services.events.handler import handles_as


@handles_as("engagement")
async def tell_technician(event: EfiEvent) -> dict[str, Any]:
    """A technician to whom somebody else assigned a ticket hears of it."""
    assigned = TicketAssigned.model_validate(event.data)
    ticket = await Ticket.find_one({"_id": assigned.ticket_id})
    if ticket is None or assigned.technician_id == event.actor.id:
        return {"skipped": "nobody else is to be told"}
    vehicle = " ".join(filter(None, (ticket.vehicle_make, ticket.vehicle_model, ticket.vehicle_number)))
    told = await notify(
        [assigned.technician_id],
        subject=f"Ticket for you: {ticket.title}",
        body="\n".join(filter(None, (vehicle, f"Priority {ticket.priority}.", ticket.description[:1000]))),
        link=f"/api/tickets/{ticket.id}",
        dedupe_key=f"{event.id}:assigned",
    )
    return {"told": len(told)}
