"""Merging two cards that describe one failure: one survives with what was learnt by both, the other stays readable.

Everything is one transaction: the survivor's new version, evidence, flags, the graph, the retired card, its review.
To undo a merge by hand: write the retired card's last version as a new card, and put the survivor back to the version
before; the ledger of outcomes still names the card that each repair used.
"""

from collections.abc import Collection

from app import clock
from app.database import transaction
from app.errors import Conflict, Forbidden, Invalid
from app.security import current_actor
from models.enums import FailureCardStatus, ReviewStatus
from models.event import CardDeprecated
from models.failure_card import CardContent, FailureCard
from services.events import record
from services.knowledge import flags, graph_edges, reviews, symptoms
from services.knowledge.access import is_curator, require_editor
from services.knowledge.card_states import Move, after
from services.knowledge.cards import require_edition, store_version
from services.knowledge.changes import announce
from services.knowledge.combining import combined
from services.knowledge.content import changed_fields, completed_anew, content_of
from services.knowledge.inheritance import inherit
from services.writing import update


class AlreadyMerged(Conflict):
    code, title = "already_merged", "The card has been merged already"


class WouldHide(Conflict):
    code, title = "survivor_not_approved", "An approved card is only merged into an approved one"


async def merge(
    card: FailureCard,
    into: str,
    *,
    reason: str,
    take: Collection[str] = (),
    content: CardContent | None = None,
    into_edition: int | None = None,
) -> FailureCard:
    """Retire `card` in favour of the card `into`, which is returned in a new version.

    Its content is its own with the fields of `take` added from `card` (see `combining.combined`), or `content`, which
    was made out of both by hand. What repairs said of `card`, its edges in the graph and whatever names it from now on
    count for the survivor; its versions, outcomes and the tickets that name it stay as they are. Merging the same two
    again changes nothing. Experts and admins may; `into_edition` is the survivor's edition as it was read.

    Raises Invalid (no such card, content that breaks a rule), Forbidden, Stale, AlreadyMerged (either of them into
    another card), CardDeprecated, WouldHide, and Claimed while somebody else reviews `card`.
    """
    if not is_curator(current_actor()):
        raise Forbidden("Experts and admins merge cards.")
    kept = await survivor_of(card, into)
    if card.merged_into == kept.id:
        return kept
    require_edition(kept, into_edition)
    stored = content_of(kept)
    wanted = combined(stored, content_of(card), take) if content is None else content
    whole = completed_anew(wanted, stored)
    await symptoms.require(set(whole.symptom_codes) - set(stored.symptom_codes) - set(card.symptom_codes))
    async with transaction():
        kept = await store_version(
            await inherit(kept, card),
            whole,
            changed_fields(stored, whole),
            change="merged",
            summary=reason,
            also={"merged_from": [card.id, *card.merged_from, *kept.merged_from]},
            merged_from=card.id,
        )
        kept = await flags.move(card, kept)
        await graph_edges.take_over(card.id, kept)
        await _close_review(card, kept, reason)
        await _retire(card, kept, reason)
    return kept


async def survivor_of(card: FailureCard, into: str) -> FailureCard:
    """The card `into`, if `card` may be merged into it. Raises as `merge` does."""
    if into == card.id:
        raise Invalid.field("into", "must be another card", into)
    kept = await FailureCard.find_one({"_id": into})
    if kept is None:
        raise Invalid.field("into", "names no failure card", into)
    if card.merged_into == kept.id:
        return kept
    for one in (card, kept):
        if one.merged_into is not None:
            raise AlreadyMerged(
                f"{one.id} was merged into {one.merged_into}: that is the card to work with.",
                failure_id=one.id,
                merged_into=one.merged_into,
            )
        require_editor(one)
    if card.status is FailureCardStatus.approved and kept.status is not FailureCardStatus.approved:
        raise WouldHide(
            f"“{card.title}” is approved and “{kept.title}” is not: repairs would lose a card that they use. Merge the "
            "other way round, or approve the other one first.",
            current=kept.status,
        )
    return kept


async def _close_review(card: FailureCard, kept: FailureCard, reason: str) -> None:
    review = await reviews.open_review(card.id)
    if review is not None:
        await reviews.close(review, ReviewStatus.withdrawn, f"Merged into {kept.id}. {reason}"[:500])


async def _retire(card: FailureCard, kept: FailureCard, reason: str) -> None:
    """What had been merged into the card before follows it: `merged_into` names the card that is left at the end."""
    retired = {
        "status": after(Move.merge, card.status),
        "edition": card.edition + 1,
        "deprecated_at": clock.now(),
        "deprecation_reason": reason,
        "successor_id": kept.id,
        "open_flags": 0,
        "merged_into": kept.id,
        "synced_to_network": False,
    }
    await update(card, retired)
    if card.merged_from:
        change = {"$set": {"merged_into": kept.id, "updated_at": clock.now()}, "$inc": {"revision": 1}}
        await FailureCard.get_pymongo_collection().update_many({"_id": {"$in": card.merged_from}}, change)
    await record(
        CardDeprecated(card_id=card.id, reason=reason, successor_id=kept.id, merged_into=kept.id),
        site_id=card.source_garage_id,
    )
    announce(card.id)
