"""What follows when a card is created, submitted, changed or approved. The matching index follows cards by itself."""

from typing import Any

from app.ids import is_id
from app.security import Role
from models.event import CardDeprecated, CardSubmitted, CardUpdated, EfiEvent, EventType
from models.failure_card import FailureCard, Review
from services.accounts import users
from services.engagement.notifications import notify
from services.events.handler import handles_as


@handles_as("engagement")
async def call_reviewers(event: EfiEvent) -> dict[str, Any]:
    """Experts hear of a card that waits for them: a discovery from its first moment, others when they are submitted."""
    card = await _card(event)
    review = await Review.find_one({"card_id": event.data["card_id"], "open": True})
    if card is None or review is None:
        return {"skipped": "no review is open"}
    if event.event_type is EventType.card_submitted:
        if CardSubmitted.model_validate(event.data).review_id != review.id:
            return {"skipped": "another review is open by now"}
        subject = f"For review: {card.title}"
    else:
        subject = f"New failure discovered: {card.title}"
    # Without an expert somebody must still decide.
    role = Role.expert if await users.with_role(Role.expert) else Role.admin
    told = await notify(
        role,
        subject=subject[:200],
        body="\n\n".join(filter(None, (card.description[:2000], f"Root cause: {card.root_cause[:500]}"))),
        link=f"/api/efi/review-queue/{review.id}",
        # The review, not the event: a discovery that is submitted later waits in the same place of the queue.
        dedupe_key=f"{review.id}:waiting",
    )
    return {"told": len(told)}


@handles_as("engagement")
async def tell_author(event: EfiEvent) -> dict[str, Any]:
    """Who wrote the card hears what an expert made of it."""
    card = await _card(event)
    if card is None or not is_id(card.created_by, "user") or card.created_by == event.actor.id:
        return {"skipped": "no author to tell"}
    if event.event_type is EventType.card_approved:
        subject, body = f"Approved: {card.title}", "Your card is part of the knowledge now."
    elif event.event_type is EventType.card_deprecated:
        deprecated = CardDeprecated.model_validate(event.data)
        if deprecated.merged_into is None:
            return {"skipped": "not merged"}
        subject, body = f"Merged: {card.title}", f"It is part of {deprecated.merged_into} now. {deprecated.reason}"
    else:
        updated = CardUpdated.model_validate(event.data)
        if updated.change != "rejected":
            return {"skipped": "nothing was decided"}
        subject, body = f"Sent back: {card.title}", updated.reason
    told = await notify(
        [card.created_by],
        subject=subject[:200],
        body=body,
        link=f"/api/efi/failure-cards/{card.id}",
        dedupe_key=f"{event.id}:author",
    )
    return {"told": len(told)}


async def _card(event: EfiEvent) -> FailureCard | None:
    return await FailureCard.find_one({"_id": event.data["card_id"]})
