"""Writing a version from elsewhere onto our card, with its place in the history, its events and its snapshot."""

from typing import Any

from app import clock
from app.security import current_actor
from models.enums import FailureCardStatus, ReviewStatus
from models.event import CardApproved, CardCreated, CardDeprecated, CardSubmitted, CardUpdated, Payload
from models.failure_card import CardContent, CardVersion, FailureCard, Review
from models.network import CardItem, CardLineage, PublicCard
from services.events.record import record_all
from services.knowledge import learning, versions
from services.knowledge.changes import announce
from services.knowledge.content import changed_fields, content_of
from services.knowledge.network import public
from services.knowledge.network.publishing import UNNUMBERED, lineages_of
from services.writing import update


def lineage_of(item: CardItem, print_: str, card_id: str, *, offered: bool) -> CardLineage:
    """The lineage of a card that comes here for the first time. `offered`: others may have it from us."""
    return CardLineage(
        id=item.network_id,
        card_id=card_id,
        origin=item.origin,
        base_score=item.base_score,
        vector=item.vector,
        fingerprint=print_,
        version=item.version,
        status=item.card.status,
        deprecation_reason=item.card.deprecation_reason,
        successor_id=item.card.successor_id,
        sequence=UNNUMBERED if offered else 0,
        seen_revision=1 if offered else 0,
    )


def new_card(item: CardItem, card_id: str, status: FailureCardStatus, successor_id: str | None) -> FailureCard:
    """A card that was unknown here. Who wrote and approved it stays with its origin, whose opaque id stands instead."""
    content, now = item.card.content, clock.now()
    signature = content.failure_signature
    card = FailureCard(
        id=card_id,
        **{name: getattr(content, name) for name in CardContent.model_fields if name != "failure_signature"},
        **({"failure_signature": signature} if signature else {}),
        signature_hash=signature.signature_hash if signature else "",
        natural_key=item.natural_key,
        loaded_fingerprint=item.loaded_fingerprint,
        version=item.version,
        status=status,
        confidence_score=item.base_score,
        confidence_level=learning.level_of(item.base_score),
        confidence_here=item.base_score,
        created_by=item.origin,
        updated_by=item.origin,
        synced_to_network=True,
        last_sync_at=now,
        **_state(item.card, successor_id, item.origin, item.approved_at or now),
    )
    card.version_history = [versions.entry(item.version, "came from the network", [])]
    return card


def _state(card: PublicCard, successor_id: str | None, who: str, now: Any) -> dict[str, Any]:
    if card.status is FailureCardStatus.deprecated:
        return {
            "deprecated_at": now,
            "deprecation_reason": card.deprecation_reason,
            "successor_id": successor_id,
            "approved_at": now,
        }
    return {"approved_by": who, "approved_at": now} | {
        "deprecated_at": None,
        "deprecation_reason": "",
        "successor_id": None,
    }


def created_events(card: FailureCard, review: Review | None) -> list[Payload]:
    """What is to be told of a card that came here."""
    told: list[Payload] = [CardCreated(card_id=card.id)]
    if review is not None:
        return [*told, CardSubmitted(card_id=card.id, review_id=review.id)]
    if card.status is FailureCardStatus.deprecated:
        return [*told, _deprecated(card)]
    return [*told, CardApproved(card_id=card.id, version=card.version)]


async def write_state(
    card: FailureCard,
    shown: PublicCard,
    *,
    version: int,
    successor_id: str | None,
    summary: str,
    also: dict[str, Any] | None = None,
) -> FailureCard:
    """Make our card read as `shown`, as its version number `version`, with events for what changed."""
    ours = content_of(card)
    whole = public.with_own_parts(shown.content, ours)
    changed = changed_fields(ours, whole)
    changes: dict[str, Any] = {name: getattr(whole, name) for name in changed}
    if whole.failure_signature:
        changes["signature_hash"] = whole.failure_signature.signature_hash
    who = current_actor().id
    moved = card.status is not shown.status
    if moved:
        changes["status"] = shown.status
    if moved and shown.status is not FailureCardStatus.pending_review:
        changes |= _state(shown, successor_id, who, clock.now())
    elif shown.status is FailureCardStatus.deprecated:
        changes |= {"deprecation_reason": shown.deprecation_reason, "successor_id": successor_id}
    changes |= {"version": version, "edition": card.edition + 1, "updated_by": who, **(also or {})}
    push = None
    if version != card.version:
        line = versions.entry(version, summary, changed)
        push = {"version_history": {"$each": [line], "$slice": -versions.HISTORY_KEPT}}
    written = await update(card, changes, push=push)
    if version != card.version:
        await versions.snapshot(written, whole, summary).insert()
    told: list[Payload] = []
    if changed:
        told.append(
            CardUpdated(card_id=card.id, version=version, changed_fields=changed, change="synced", reason=summary)
        )
    if moved and shown.status is FailureCardStatus.approved:
        told.append(CardApproved(card_id=card.id, version=version))
    elif moved and shown.status is FailureCardStatus.deprecated:
        told.append(_deprecated(written))
    await record_all(told)
    announce(card.id)
    return written


def _deprecated(card: FailureCard) -> CardDeprecated:
    return CardDeprecated(card_id=card.id, reason=card.deprecation_reason, successor_id=card.successor_id)


async def local_id(network_id: str | None) -> str | None:
    """The id that a card of the network has here; a card that has not come yet keeps the network's."""
    if network_id is None:
        return None
    lineage = (await lineages_of([network_id])).get(network_id)
    return lineage.card_id if lineage else network_id


async def withdraw(review_id: str, reason: str) -> None:
    """End a review that has lost its matter, whoever has claimed it."""
    review = await Review.find_one({"_id": review_id})
    if review is not None and review.open:
        await update(
            review,
            {
                "status": ReviewStatus.withdrawn,
                "open": False,
                "decided_at": clock.now(),
                "decision_reason": reason,
            },
        )


def snapshot_of(card: FailureCard, item: CardItem) -> CardVersion:
    return versions.snapshot(card, item.card.content, "came from the network")
