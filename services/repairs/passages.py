"""One passage of a ticket, from taking it in or reopening it to its resolution, as learning looks at it."""

from dataclasses import dataclass

from app import clock
from models.event import EfiEvent, EventType
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.knowledge.survivors import survivors


@dataclass(frozen=True, slots=True)
class Passage:
    """`actions` in the order in which they were recorded, naming the cards that stand for those they used today;
    `came_back` says that a revisit followed in time."""

    ticket: Ticket
    number: int
    actions: list[TechnicianAction]
    came_back: bool


async def hold(ticket_id: str) -> None:
    """Keep the ticket from being reopened until the running transaction ends, or be repeated if it just was.

    Only a write conflicts: reads alone would let a reopening at the same time pass, and one would count the success
    that the other has come to take back. It must change something, since a write without effect is none: two of the
    same millisecond would not meet on a time. The ticket's revision stays, since nothing is edited.
    """
    change = {"$inc": {"holds": 1}, "$set": {"updated_at": clock.now()}}
    await Ticket.get_pymongo_collection().update_one({"_id": ticket_id}, change)


async def read(ticket_id: str, number: int) -> Passage | None:
    """The passage, None if there is no such ticket."""
    ticket = await Ticket.find_one({"_id": ticket_id})
    if ticket is None:
        return None
    actions = await TechnicianAction.find({"ticket_id": ticket_id}).sort([("_id", 1)]).to_list()
    own = [action for action in actions if action.resolution_round == number]
    return Passage(ticket, number, await _by_present_cards(own), await _came_back(ticket, number))


async def _by_present_cards(actions: list[TechnicianAction]) -> list[TechnicianAction]:
    """The actions with the card that each used, or the one that this card has been merged into since."""
    used = {action.failure_card_used for action in actions if action.failure_card_used is not None}
    present = await survivors(used)
    return [
        action.model_copy(update={"failure_card_used": present.get(action.failure_card_used or "")})
        if action.failure_card_used in present
        else action
        for action in actions
    ]


async def _came_back(ticket: Ticket, number: int) -> bool:
    if ticket.revisit_count < number:
        return False
    moves = EfiEvent.find({"data.ticket_id": ticket.id, "event_type": EventType.ticket_in_progress})
    return any(
        [
            move.data["revisit_of_round"] == number and move.data["within_return_window"]
            async for move in moves
            if move.data["revisit"]
        ]
    )
