"""Writing a version from elsewhere onto our card, with its place in the history, its events and its snapshot."""

from collections.abc import Iterable, Mapping
from typing import Any

from app import clock
from app.security import current_actor
from models.enums import FailureCardStatus, ReviewStatus
from models.event import CardApproved, CardCreated, CardDeprecated, CardSubmitted, CardUpdated, Payload
from models.failure_card import CardContent, CardVersion, FailureCard, FailureSignature, Review
from models.network import CardItem, CardLineage, PublicCard
from services.events.record import record_all
from services.knowledge import learning, versions
from services.knowledge.changes import announce
from services.knowledge.content import changed_fields, content_of
from services.knowledge.network import public
from services.knowledge.network.publishing import UNNUMBERED, lineages_of
from services.writing import update

Named = Mapping[str | None, str]
"""Ids of cards here, by the ids that the network knows them by."""


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
        merged_into=item.card.merged_into,
        sequence=UNNUMBERED if offered else 0,
        seen_revision=1 if offered else 0,
    )


def new_card(item: CardItem, card_id: str, status: FailureCardStatus, named: Named) -> FailureCard:
    """A card that was unknown here; `named`: the cards that it names, as they are known here.

    Who wrote and approved it stays with its origin, whose opaque id stands instead.
    """
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
        **_state(item.card, named, item.origin, item.approved_at or now),
    )
    card.version_history = [versions.entry(item.version, "came from the network", [])]
    return card


def _state(card: PublicCard, named: Named, who: str, now: Any) -> dict[str, Any]:
    if card.status is FailureCardStatus.deprecated:
        return {
            "deprecated_at": now,
            "deprecation_reason": card.deprecation_reason,
            "successor_id": named.get(card.successor_id),
            "merged_into": named.get(card.merged_into),
            "approved_at": now,
        }
    return {"approved_by": who, "approved_at": now} | {
        "deprecated_at": None,
        "deprecation_reason": "",
        "successor_id": None,
        "merged_into": None,
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
    summary: str,
    also: dict[str, Any] | None = None,
) -> FailureCard:
    """Make our card read as `shown`, as its version number `version`, with events for what changed."""
    ours = content_of(card)
    whole = public.with_own_parts(shown.content, ours)
    changed = changed_fields(ours, whole)
    changes: dict[str, Any] = {name: getattr(whole, name) for name in changed}
    if "failure_signature" in changes:
        changes["failure_signature"] = signature = whole.failure_signature or FailureSignature()
        changes["signature_hash"] = signature.signature_hash
    who = current_actor().id
    named = await local_ids([shown])
    moved = card.status is not shown.status
    if moved:
        changes["status"] = shown.status
    if moved and shown.status is not FailureCardStatus.pending_review:
        changes |= _state(shown, named, who, clock.now())
    elif shown.status is FailureCardStatus.deprecated:
        changes |= {
            "deprecation_reason": shown.deprecation_reason,
            "successor_id": named.get(shown.successor_id),
            "merged_into": named.get(shown.merged_into),
        }
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
    return CardDeprecated(
        card_id=card.id,
        reason=card.deprecation_reason,
        successor_id=card.successor_id,
        merged_into=card.merged_into,
    )


async def local_ids(shown: Iterable[PublicCard]) -> dict[str | None, str]:
    """The ids that the cards which these name have here; one that has not come yet keeps the network's."""
    wanted = {name for card in shown for name in (card.successor_id, card.merged_into) if name}
    known = await lineages_of(wanted)
    return {name: known[name].card_id if name in known else name for name in wanted}


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
