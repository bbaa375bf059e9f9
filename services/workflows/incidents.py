"""What becomes of incidents and their tickets when their card is approved or given up."""

from typing import Any

from app import clock
from models.enums import FailureCardStatus
from models.event import CardApproved, CardDeprecated, EfiEvent
from models.failure_card import FailureCard
from models.incident import ClosedBecause, Incident, IncidentTicket
from models.ticket import Ticket
from services.engagement.notifications import notify
from services.events.handler import handles_as
from services.workflows.patterns import incidents
from services.workflows.patterns.reading import FINISHED


@handles_as("incidents")
async def close_incident(event: EfiEvent) -> dict[str, Any]:
    """An incident whose card is approved is closed, and the card suggested first for its tickets in work."""
    approved = CardApproved.model_validate(event.data)
    closed = [
        await incidents.close_approved(one, approved.card_id) for one in await incidents.of_card(approved.card_id)
    ]
    linked = [await _suggest(incident, approved.card_id) for incident in closed]
    return {"closed": [incident.id for incident in closed], "tickets_linked": sum(linked)}


@handles_as("incidents")
async def follow_given_up_card(event: EfiEvent) -> dict[str, Any]:
    """An incident whose draft was merged follows the other card; one whose draft was discarded is dismissed by that."""
    deprecated = CardDeprecated.model_validate(event.data)
    found = await incidents.of_card(deprecated.card_id)
    for incident in found:
        if deprecated.merged_into is None:
            await incidents.watch_discarded(incident, deprecated.reason)
            continue
        survivor = await FailureCard.find_one({"_id": deprecated.merged_into})
        if survivor is not None and survivor.status is FailureCardStatus.approved:
            await _suggest(await incidents.close_approved(incident, survivor.id), survivor.id)
        else:
            await incidents.follow_card(incident, deprecated.merged_into)
    return {"incidents": [incident.id for incident in found]}


@handles_as("engagement")
async def tell_technicians_of_incident(event: EfiEvent) -> dict[str, Any]:
    """Who works a ticket of the incident hears that its failure is known now."""
    approved = CardApproved.model_validate(event.data)
    card = await FailureCard.find_one({"_id": approved.card_id})
    found = await Incident.find({"card_id": approved.card_id}).to_list()
    held = [one for one in found if one.closed_because is not ClosedBecause.merged]
    if card is None or not held:
        return {"skipped": "no incident led to this card"}
    tickets = [ticket for incident in held for ticket in await _in_work(incident)]
    technicians = {ticket.assigned_technician_id for ticket in tickets if ticket.assigned_technician_id}
    told = await notify(
        sorted(technicians),
        subject=f"Known by now: {card.title}"[:200],
        body="A ticket that you work belongs to an incident whose failure has been described.",
        link=f"/api/efi/failure-cards/{card.id}",
        dedupe_key=f"{event.id}:incident",
    )
    return {"told": len(told)}


async def _in_work(incident: Incident) -> list[Ticket]:
    claims = await IncidentTicket.find({"incident_id": incident.id}).sort([("_id", -1)]).limit(500).to_list()
    tickets = await Ticket.find({"_id": {"$in": [claim.id for claim in claims]}}).to_list()
    return [ticket for ticket in tickets if ticket.status not in FINISHED]


async def _suggest(incident: Incident, card_id: str) -> int:
    """Put the card first among the suggestions of the tickets in work; returns their number."""
    tickets = await _in_work(incident)
    for ticket in tickets:
        suggested = [card_id, *(one for one in ticket.suggested_failure_cards if one != card_id)]
        # Not an edit: the ticket's revision stays, or whoever opened its form meanwhile could not save it.
        await Ticket.get_pymongo_collection().update_one(
            {"_id": ticket.id}, {"$set": {"suggested_failure_cards": suggested, "updated_at": clock.now()}}
        )
    return len(tickets)
