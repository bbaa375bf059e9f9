"""The way of a card: submitted, approved or rejected, discarded, deprecated. State, review and event are one write."""

from typing import Any

from app import clock
from app.database import in_transaction, transaction
from app.errors import Conflict, Forbidden, Invalid
from app.security import ActorKind, Role, current_actor
from models.enums import FailureCardStatus, ReviewStatus
from models.event import CardApproved, CardDeprecated, CardSubmitted, CardUpdated, Payload
from models.failure_card import CardContent, FailureCard, Review
from services.accounts import users
from services.events import record
from services.knowledge import reviews
from services.knowledge.access import require_editor
from services.knowledge.card_states import Move, after
from services.knowledge.changes import announce
from services.knowledge.content import DRAFT_MARK
from services.knowledge.network import conflicts
from services.knowledge.network.publishing import publish
from services.writing import update


class OwnCard(Forbidden):
    code, title = "own_card", "Somebody else must approve it"


async def submit(card: FailureCard) -> FailureCard:
    """Ask for review: the author of a draft, or an expert. A card that waits in the queue already keeps its place."""
    after(Move.submit, card.status)
    require_editor(card)
    async with transaction():
        review = await reviews.open_for(card)
        return await _move(card, Move.submit, {}, CardSubmitted(card_id=card.id, review_id=review.id))


async def approve(card: FailureCard, reason: str = "") -> FailureCard:
    """Make a reviewed card part of the knowledge. A draft that waits in the queue is submitted on the way.

    Raises OwnCard where an expert approves what they wrote and another expert is there to do it, Claimed while somebody
    else reviews it, IllegalMove.
    """
    async with transaction():
        review = await reviews.open_review(card.id)
        if review is not None and card.status is FailureCardStatus.draft:
            card = await submit(card)
        after(Move.approve, card.status)
        await _require_four_eyes(card)
        if review is not None:
            await reviews.close(review, ReviewStatus.approved, reason)
        moved = await _move(
            card,
            Move.approve,
            {
                "approved_by": current_actor().id,
                "approved_at": clock.now(),
                "title": card.title.removeprefix(DRAFT_MARK),
            },
            CardApproved(card_id=card.id, version=card.version),
        )
        if await conflicts.waits(card.id):  # came in while the card itself was under review
            await publish([card.id])
            await conflicts.settle([card.id])
        return moved


async def reject(card: FailureCard, reason: str) -> FailureCard:
    """Send a card back to its author, who may improve and submit it again. Raises Claimed, IllegalMove."""
    async with transaction():
        review = await reviews.open_review(card.id)
        if review is not None and card.status is FailureCardStatus.draft:
            card = await submit(card)
        after(Move.reject, card.status)
        if review is not None:
            await reviews.close(review, ReviewStatus.rejected, reason)
        return await _move(
            card,
            Move.reject,
            {},
            CardUpdated(
                card_id=card.id, version=card.version, changed_fields=["status"], change="rejected", reason=reason
            ),
        )


async def decide(review: Review, decision: ReviewStatus, reason: str, content: CardContent | None = None) -> Review:
    """End a review by approving or rejecting its card; `reason` is needed to reject. Raises as those do.

    Where a version from another service waits, it is what is decided on, and `content` may take the place of both
    versions: see `network.conflicts.decide`. Raises Invalid for content anywhere else.
    """
    if review.incoming_id:
        return await in_transaction(lambda: conflicts.decide(review, decision, reason, content))
    if content is not None:
        raise Invalid.field("content", "is for versions from another service: edit the card instead")
    reviews.require_free(review)
    card = await FailureCard.find_one({"_id": review.card_id})
    if card is None:
        raise Conflict(f"The card {review.card_id} is gone.")
    if decision is ReviewStatus.approved:
        await approve(card, reason)
    else:
        await reject(card, reason)
    return await reviews.get(review.id)


async def discard(card: FailureCard, reason: str) -> FailureCard:
    """Give a draft up: its author, or an expert. It stays readable; a review that waits for it is withdrawn.

    Raises IllegalMove, Claimed, and as `require_editor` does.
    """
    after(Move.discard, card.status)
    require_editor(card)
    async with transaction():
        review = await reviews.open_review(card.id)
        if review is not None:
            await reviews.close(review, ReviewStatus.withdrawn, reason)
        return await _retire(card, Move.discard, reason)


async def deprecate(card: FailureCard, reason: str, successor_id: str | None = None) -> FailureCard:
    """Take an approved card out of use. It stays readable, with its reason and successor.

    Raises Invalid for a successor that does not exist, is the card itself or is deprecated, IllegalMove, and as
    `require_editor` does.
    """
    after(Move.deprecate, card.status)
    require_editor(card)
    async with transaction():
        if successor_id is not None:
            await _bind_successor(card, successor_id)
        return await _retire(card, Move.deprecate, reason, successor_id)


async def _retire(card: FailureCard, move: Move, reason: str, successor_id: str | None = None) -> FailureCard:
    return await _move(
        card,
        move,
        {"deprecated_at": clock.now(), "deprecation_reason": reason, "successor_id": successor_id},
        CardDeprecated(card_id=card.id, reason=reason, successor_id=successor_id),
    )


async def _move(card: FailureCard, move: Move, changes: dict[str, Any], payload: Payload) -> FailureCard:
    """Write the state that the move leads to, with its event. Editions count changes of state too."""
    target = after(move, card.status)
    moved = await update(card, {"status": target, "edition": card.edition + 1, "synced_to_network": False, **changes})
    await record(payload, site_id=card.source_garage_id)
    announce(card.id)
    return moved


async def _require_four_eyes(card: FailureCard) -> None:
    """Who wrote a card does not approve it, as long as another expert can. The sole expert of a workshop may."""
    actor = current_actor()
    if actor.kind is not ActorKind.user or card.created_by != actor.id:
        return
    if any(expert.id != actor.id for expert in await users.with_role(Role.expert)):
        raise OwnCard("You wrote this card: another expert must approve it.")


async def _bind_successor(card: FailureCard, successor_id: str) -> None:
    """Check the successor, and write it, so that it cannot be deprecated in favour of this card at the same instant.

    Only deprecated cards have successors, and no successor is deprecated when it is named: chains cannot close a loop.
    """
    if successor_id == card.id:
        raise Invalid.field("successor_id", "must be another card", successor_id)
    successor = await FailureCard.find_one({"_id": successor_id})
    if successor is None:
        raise Invalid.field("successor_id", "names no failure card", successor_id)
    if successor.status is FailureCardStatus.deprecated:
        raise Invalid.field("successor_id", "is deprecated itself", successor_id)
    await update(successor, {})
