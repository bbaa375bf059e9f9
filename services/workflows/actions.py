"""What a technician's action says about cards beyond its outcome, which is weighed when the ticket is resolved."""

from typing import Any

from models.event import ActionCompleted, CardRated, EfiEvent
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.events.handler import handles_as
from services.knowledge import confidence


@handles_as("learning")
async def count_rejections(event: EfiEvent) -> dict[str, Any]:
    """A card that was considered and ruled out is evidence, too."""
    completed = ActionCompleted.model_validate(event.data)
    action = await TechnicianAction.find_one({"_id": completed.action_id})
    ticket = await Ticket.find_one({"_id": completed.ticket_id})
    if action is None or ticket is None:
        return {"skipped": "no such action"}
    return {"rejected": await confidence.record_rejections(action, ticket)}


@handles_as("learning")
async def count_rating(event: EfiEvent) -> dict[str, Any]:
    """Add the rating to the card's."""
    rated = CardRated.model_validate(event.data)
    if rated.accuracy_rating is None:
        return {"skipped": "no rating of the accuracy"}
    await confidence.record_rating(rated.card_id, rated.accuracy_rating)
    return {"rating": rated.accuracy_rating}
