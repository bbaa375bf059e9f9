"""What people write that the symptom library does not know is gathered for experts."""

from typing import Any

from models.event import ActionCompleted, EfiEvent, TicketCreated
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.diagnosis import matches
from services.diagnosis.translate import SUBSYSTEM_OF
from services.events.handler import handles_as
from services.knowledge import candidates
from services.knowledge.phrases import phrases


@handles_as("library")
async def gather_complaint(event: EfiEvent) -> dict[str, Any]:
    """Count the telling phrases of a complaint."""
    created = TicketCreated.model_validate(event.data)
    ticket = await Ticket.find_one({"_id": created.ticket_id})
    if ticket is None:
        return {"skipped": "no such ticket"}
    return await _gather(f"{ticket.title}\n{ticket.description}", ticket, event)


@handles_as("library")
async def gather_observations(event: EfiEvent) -> dict[str, Any]:
    """Count the telling phrases of what a technician observed; the ticket's own are counted already."""
    completed = ActionCompleted.model_validate(event.data)
    action = await TechnicianAction.find_one({"_id": completed.action_id})
    ticket = await Ticket.find_one({"_id": completed.ticket_id})
    if action is None or ticket is None or not action.observations:
        return {"skipped": "nothing was observed"}
    return await _gather("\n".join(action.observations), ticket, event)


async def _gather(text: str, ticket: Ticket, event: EfiEvent) -> dict[str, Any]:
    private = (
        ticket.customer_name,
        ticket.vehicle_make,
        ticket.vehicle_model,
        ticket.vehicle_number,
        ticket.assigned_technician_name,
    )
    found = phrases(text, matches.serving().wordings, private)
    return {"phrases": await candidates.gather(found, ticket, SUBSYSTEM_OF.get(ticket.category), event.created_at)}
