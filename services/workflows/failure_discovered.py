"""Workflow 2 (specification, §4.2): a technician met a failure that no card describes, and a draft is made of it."""

from typing import Any

from app.errors import Unavailable
from models.event import EfiEvent, FailureDiscovered
from models.failure_card import FailureCard
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.diagnosis import matches
from services.diagnosis.duplicates import NearDuplicate, near_duplicates
from services.events.handler import handles_as
from services.knowledge import cards, reviews
from services.knowledge.cards import DISCOVERED_CONFIDENCE
from services.workflows.drafting import complaint, draft


@handles_as("discovery")
async def draft_card(event: EfiEvent) -> dict[str, Any]:
    """One draft for the action, in the review queue from the start. Its graph edges, and the message to the experts,
    follow from card.created."""
    discovered = FailureDiscovered.model_validate(event.data)
    existing = await FailureCard.find_one({"source_action_id": discovered.action_id})
    if existing is not None:
        return {"draft_card": existing.id, "existed": True}
    action = await TechnicianAction.find_one({"_id": discovered.action_id})
    ticket = await Ticket.find_one({"_id": discovered.ticket_id})
    if action is None or ticket is None:
        return {"skipped": "no such action"}
    symptoms = await matches.symptoms_named(complaint(action, ticket))
    card = await cards.create(
        draft(action, ticket, symptoms),
        created_by=action.technician_id,
        source_ticket_id=ticket.id,
        source_action_id=action.id,
        source_garage_id=action.site_id,
        confidence_score=DISCOVERED_CONFIDENCE,
    )
    review = await reviews.open_for(card)
    alike = await _known_already(card)
    if alike:
        await reviews.comment(review, _remark(alike))
    return {"draft_card": card.id, "review": review.id, "near_duplicates": [one.card_id for one in alike]}


async def _known_already(card: FailureCard) -> list[NearDuplicate]:
    """A draft is made whether or not its like can be looked for; the reviewer's page compares again."""
    try:
        return await near_duplicates(card)
    except Unavailable:
        return []


def _remark(alike: list[NearDuplicate]) -> str:
    lines = [f"- {one.title} ({one.card_id}, {one.status}): {one.similarity:.0%} alike" for one in alike]
    return "\n".join(["This draft may describe what is known already:", *lines])
