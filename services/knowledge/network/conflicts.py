"""Versions from elsewhere that wait for an expert, and what the expert makes of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.errors import Conflict
from models.enums import ReviewStatus
from models.failure_card import CardContent, FailureCard, Review
from models.network import Ancestor, CardLineage, IncomingKind, IncomingVersion, PublicCard
from services.knowledge import reviews, versions
from services.knowledge.network import applying, identity, public
from services.knowledge.network.publishing import follow, lineages_of, number, publish, screened, write
from services.knowledge.network.threeway import ThreeWay, merged, three_way, with_content
from services.knowledge.network.vectors import Order, bumped, compare, joined
from services.writing import update


@dataclass(frozen=True)
class Comparison:
    """What came in beside what is here, and the last version that both have seen (None: there is none)."""

    incoming: IncomingVersion
    base: PublicCard | None
    ours: PublicCard
    theirs: PublicCard
    lines: list[ThreeWay]


async def comparison_of(review: Review) -> Comparison | None:
    """None for a review that is about this service's own card, or whose matter is settled."""
    found = await IncomingVersion.find_one({"_id": review.incoming_id}) if review.incoming_id else None
    if found is None:
        return None
    lineage = (await lineages_of([found.network_id]))[found.network_id]
    card = await FailureCard.find_one({"_id": found.card_id})
    if card is None:
        return None
    base, ours = await _base(lineage, found), shown(card, lineage)
    return Comparison(found, base, ours, found.item.card, three_way(base, ours, found.item.card))


def shown(card: FailureCard, lineage: CardLineage) -> PublicCard:
    """What the network sees of our card."""
    stored = public.public_card(public.content_of_stored(dict(card)), card.status, card.deprecation_reason)
    return stored.model_copy(update={"successor_id": lineage.successor_id, "merged_into": lineage.merged_into})


async def _base(lineage: CardLineage, incoming: IncomingVersion) -> PublicCard | None:
    """Our latest version that theirs has seen, or that theirs names among its ancestors."""
    item = incoming.item
    present = Ancestor(**{name: getattr(lineage, name) for name in Ancestor.model_fields})
    for ancestor in (present, *lineage.history):
        seen = ancestor.vector and compare(ancestor.vector, item.vector) in (Order.older, Order.equal)
        if (seen and ancestor.fingerprint != incoming.fingerprint) or ancestor.fingerprint in item.ancestors:
            version = await versions.find(lineage.card_id, ancestor.version)
            if version is not None:
                return public.public_card(
                    version.content,
                    ancestor.status,
                    ancestor.deprecation_reason,
                    ancestor.successor_id,
                    ancestor.merged_into,
                )
    return None


async def decide(review: Review, status: ReviewStatus, reason: str, content: CardContent | None = None) -> Review:
    """Settle what came in. Approved: their changes go on top of ours, or `content` takes the place of both. Rejected:
    ours stands. The outcome has seen both versions, so every service takes it over.

    Raises Conflict if there is nothing to settle any more, Claimed, Decided, and Invalid for unsound content. In a
    transaction.
    """
    reviews.require_free(review)
    await publish([review.card_id])  # what was edited here meanwhile is a version of ours
    found = await comparison_of(review)
    card = await FailureCard.find_one({"_id": review.card_id})
    if found is None or card is None:
        raise Conflict("The versions have come together meanwhile: there is nothing to decide.")
    item, incoming = found.incoming.item, found.incoming
    lineage = (await lineages_of([incoming.network_id]))[incoming.network_id]
    outcome = found.ours
    if status is ReviewStatus.approved:
        outcome = with_content(found.ours, content) if content else merged(found.base, found.ours, found.theirs)
    print_ = public.fingerprint(outcome)
    taken_over = incoming.kind is IncomingKind.update and print_ == incoming.fingerprint
    vector, version = joined(lineage.vector, item.vector), max(lineage.version, item.version)
    if not taken_over:
        vector, version = bumped(vector, (await identity.own()).node_id), version + 1
    written = await applying.write_state(
        card,
        outcome,
        version=version,
        summary=reason or "decided between two versions",
    )
    following = screened(follow(lineage, outcome, print_, vector=vector, version=version), outcome)
    following.seen_revision = written.revision
    await number([following])
    await write(CardLineage, [following], {lineage.id})
    decided = await reviews.close(review, status, reason)
    await IncomingVersion.get_pymongo_collection().delete_one({"_id": incoming.id})
    await settle([card.id])
    return decided


async def waits(card_id: str) -> bool:
    """Whether a version from elsewhere waits for this card."""
    return await IncomingVersion.find_one({"card_id": card_id}) is not None


async def settle(card_ids: Iterable[str]) -> int:
    """Look again at what waits for these cards: drop what our version has seen by now, and see to it that one review is
    open for the rest. Returns how many still wait. In a transaction."""
    wanted = sorted(set(card_ids))
    waiting = await IncomingVersion.find({"card_id": {"$in": wanted}}).to_list() if wanted else []
    if not waiting:
        return 0
    lineages = await lineages_of(one.network_id for one in waiting)
    left: dict[str, list[IncomingVersion]] = {}
    for one in waiting:
        lineage = lineages[one.network_id]
        beaten = any(_replaces(other, one) for other in waiting)
        if beaten or compare(one.item.vector, lineage.vector) is Order.older or one.fingerprint == lineage.fingerprint:
            await IncomingVersion.get_pymongo_collection().delete_one({"_id": one.id})
        else:
            left.setdefault(one.card_id, []).append(one)
    for card_id in {one.card_id for one in waiting}:
        await _keep_one_review(card_id, left.get(card_id, []))
    return sum(map(len, left.values()))


def _replaces(other: IncomingVersion, one: IncomingVersion) -> bool:
    return other.card_id == one.card_id and compare(other.item.vector, one.item.vector) is Order.newer


async def _keep_one_review(card_id: str, left: list[IncomingVersion]) -> None:
    review = await reviews.open_review(card_id)
    if not left:
        if review is not None and review.incoming_id:
            await applying.withdraw(review.id, "the versions have come together")
        return
    card = await FailureCard.find_one({"_id": card_id})
    if card is None or (review is not None and not review.incoming_id):
        return  # the card itself is under review: approving it looks here again
    if review is None:
        review = await reviews.open_for(card)
        await update(card, {})  # so that two who open one conflict
    if review.incoming_id not in {one.id for one in left}:
        await update(review, {"incoming_id": left[0].id})
