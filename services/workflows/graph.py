"""The knowledge graph follows what happens: what cards state, which cards resemble each other, what repairs show.

The order of events does not matter: what a card states is read when the event is handled, and a passage of a ticket is
weighed once, as the success or failure that it was in the end.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from app.database import in_transaction
from models.enums import FailureCardStatus
from models.event import ActionCompleted, EfiEvent, TicketInProgress, TicketResolved
from models.failure_card import FailureCard
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.diagnosis.duplicates import near_duplicates
from services.events.handler import handles_as
from services.knowledge import graph_edges, graph_upkeep
from services.knowledge.graph_edges import CardUse
from services.repairs import passages
from services.workflows.ticket_resolved import Judgement, judge

MAX_DUPLICATES = 10


@handles_as("graph")
async def link_graph(event: EfiEvent) -> dict[str, Any]:
    """Make the graph say what the card states now."""
    card = await _card(event)
    if card is None or card.merged_into is not None:
        return {"skipped": "no such card, or it has been merged into another"}
    return {"edges": await graph_edges.link_card(card)}


@handles_as("graph")
async def relate_duplicates(event: EfiEvent) -> dict[str, Any]:
    """Relate an approved card to those that say nearly the same."""
    if event.data.get("flag_id") is not None or event.data.get("change") == "reviewed":
        return {"skipped": "the card says what it said"}
    card = await _card(event)
    if card is None or card.status is not FailureCardStatus.approved:
        return {"skipped": "no approved card"}
    kept = await _duplicates(card)
    return {"similar": sorted(kept), "edges": await graph_edges.relate_similar(card, kept)}


async def relate_all(progress: Callable[[int], None]) -> int:
    """Compare every approved card with its nearest, as on approval; returns how many edges changed. Needs the index."""
    changed = 0
    async for batch in graph_upkeep.cards():
        for card in batch:
            if card.status is FailureCardStatus.approved:
                kept = await _duplicates(card)
                changed += await in_transaction(partial(graph_edges.relate_similar, card, kept))
        progress(len(batch))
    return changed


async def _duplicates(card: FailureCard) -> dict[str, float]:
    """The cards that say nearly the same, with their similarity."""
    found = await near_duplicates(card, limit=MAX_DUPLICATES)
    return {one.card_id: one.similarity for one in found if one.status == FailureCardStatus.approved}


@handles_as("graph")
async def strengthen_graph(event: EfiEvent) -> dict[str, Any]:
    """A repair that worked speaks for the edges between what was complained of, the card and the parts fitted; one that
    did not speaks against those that pointed to the card."""
    resolved = TicketResolved.model_validate(event.data)
    await passages.hold(resolved.ticket_id)
    passage = await passages.read(resolved.ticket_id, resolved.resolution_round)
    uses = [_use(judged) for judged in judge(passage, resolved)] if passage else []
    if passage is None or not uses:
        return {"skipped": "no action used a card"}
    return {"edges": await graph_edges.observe_passage(passage.ticket, passage.number, uses, event.created_at)}


@handles_as("graph")
async def weaken_graph(event: EfiEvent) -> dict[str, Any]:
    """A revisit within the return window: what the passage before had said for edges counts against them."""
    moved = TicketInProgress.model_validate(event.data)
    if moved.revisit_of_round is None or not moved.within_return_window:
        return {"skipped": "no revisit within the return window"}
    return {"taken_back": await graph_edges.take_back(moved.ticket_id, moved.revisit_of_round)}


@handles_as("graph")
async def doubt_graph(event: EfiEvent) -> dict[str, Any]:
    """A card that was ruled out: what pointed to it does so less."""
    completed = ActionCompleted.model_validate(event.data)
    action = await TechnicianAction.find_one({"_id": completed.action_id})
    ticket = await Ticket.find_one({"_id": completed.ticket_id})
    if action is None or ticket is None:
        return {"skipped": "no such action"}
    ruled_out = {rejected.card_id for rejected in action.rejected_hypotheses if rejected.card_id}
    ruled_out -= {action.failure_card_used}
    return {"edges": await graph_edges.doubt(ticket, ruled_out, action.created_at)}


def _use(judged: Judgement) -> CardUse:
    fitted = {(part.part_name, part.part_number): None for action in judged.actions for part in action.parts_used}
    return CardUse(judged.card_id, judged.success, list(fitted))


async def _card(event: EfiEvent) -> FailureCard | None:
    return await FailureCard.find_one({"_id": event.data["card_id"]})
