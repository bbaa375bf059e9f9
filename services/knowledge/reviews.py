"""The review queue: which cards wait for an expert, who looks at one, and what was said. Deciding is in `lifecycle`."""

from datetime import timedelta

from app import clock
from app.errors import Conflict, Forbidden, NotFound, Stale
from app.security import Role, current_actor
from models.enums import ReviewStatus, SourceType, SubsystemCategory
from models.failure_card import FailureCard, Review, ReviewComment
from models.record import ActorRef
from services.paging import Page, by_index, page
from services.writing import update

CLAIM_LASTS = timedelta(hours=1)
"""Long enough to read a card and its ticket; a claim that somebody forgot gives the card free by itself."""
MAX_COMMENTS = 500


class Claimed(Conflict):
    code, title = "claimed", "Somebody else is reviewing it"


class Decided(Conflict):
    code, title = "decided", "The review has ended"


async def open_for(card: FailureCard) -> Review:
    """The open review of a card; a new one if there is none.

    The caller's transaction must write the card as well: by that two of them conflict, and one review is open at most.
    A unique index on open reviews would say the same, but the embedded store never frees a key that an update leaves.
    """
    review = await open_review(card.id)
    if review is None:
        review = review_of(card)
        await review.insert()
    return review


def review_of(card: FailureCard) -> Review:
    """A new review, not yet stored; see `open_for` for where there may be one already."""
    return Review(
        card_id=card.id,
        card_title=card.title,
        subsystem_category=card.subsystem_category,
        source_type=card.source_type,
        source_ticket_id=card.source_ticket_id,
        submitted_by=ActorRef.current(),
    )


async def open_review(card_id: str) -> Review | None:
    # A card passes through few reviews; naming `open` in the query would cost the index.
    passages = await Review.find({"card_id": card_id}).to_list()
    return next((review for review in passages if review.open), None)


async def get(review_id: str) -> Review:
    """Raises NotFound."""
    review = await Review.find_one({"_id": review_id})
    if review is None:
        raise NotFound.of("review", review_id)
    return review


def require_revision(review: Review, revision: int | None) -> None:
    """Raise Stale if it has changed since `revision` was read; None does not care."""
    if revision is not None and review.revision != revision:
        raise Stale(f"{review.id} was changed by somebody else; read it again.")


async def list_reviews(
    *,
    status: ReviewStatus | None = None,
    subsystem_category: SubsystemCategory | None = None,
    source_type: SourceType | None = None,
    card_id: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[Review]:
    """The open ones, or those of one status; oldest first: what has waited longest comes up."""
    query: dict[str, object] = {"open": True} if status is None else {"status": status}
    wanted = {"subsystem_category": subsystem_category, "source_type": source_type, "card_id": card_id}
    query |= {name: value for name, value in wanted.items() if value is not None}
    first, rest = by_index(query, ("card_id", "status", "open"))
    return await page(Review, first, also=rest, limit=limit, after=after, newest_first=False)


async def claim(review: Review) -> Review:
    """Keep others from working on it for CLAIM_LASTS; claiming one's own again renews it. Raises Claimed, Decided."""
    require_free(review)
    now = clock.now()
    return await update(
        review,
        {
            "status": ReviewStatus.claimed,
            "claimed_by": current_actor().id,
            "claimed_at": now,
            "claim_expires_at": now + CLAIM_LASTS,
        },
    )


async def release(review: Review) -> Review:
    """Give a claim back. Raises Forbidden for somebody else's, unless an admin does it, and Decided."""
    _require_open(review)
    actor = current_actor()
    if review.claimed_by not in (None, actor.id) and not actor.has(Role.admin):
        raise Forbidden(f"{review.claimed_by} has claimed it: they or an admin can release it.")
    if review.claimed_by is None:
        return review
    return await update(
        review,
        {"status": ReviewStatus.waiting, "claimed_by": None, "claimed_at": None, "claim_expires_at": None},
    )


async def comment(review: Review, text: str) -> Review:
    """Add a comment; also after the decision, for what follows from it. Raises Conflict beyond MAX_COMMENTS."""
    if len(review.comments) >= MAX_COMMENTS:
        raise Conflict(f"A review holds {MAX_COMMENTS} comments at most.")
    line = ReviewComment(at=clock.now(), author=ActorRef.current(), text=text)
    return await update(review, {}, push={"comments": line})


async def close(review: Review, status: ReviewStatus, reason: str = "") -> Review:
    """End it with a decision, or withdrawn. Raises Claimed, Decided."""
    require_free(review)
    return await update(
        review,
        {
            "status": status,
            "open": False,
            "decided_by": current_actor().id,
            "decided_at": clock.now(),
            "decision_reason": reason,
        },
    )


def require_free(review: Review) -> None:
    """Raise Decided if it has ended, Claimed while somebody else's claim lasts."""
    _require_open(review)
    until = review.claim_expires_at
    if review.claimed_by in (None, current_actor().id) or until is None or until <= clock.now():
        return
    raise Claimed(
        f"{review.claimed_by} is reviewing it until {until:%Y-%m-%d %H:%M} UTC.",
        claimed_by=review.claimed_by,
        claim_expires_at=until,
    )


def _require_open(review: Review) -> None:
    if not review.open:
        raise Decided(f"The review has ended: {review.status}.", decision=review.status)
