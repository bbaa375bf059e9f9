"""The review queue: what waits, one draft beside the work that it came from, and the decision."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from app import clock
from app.errors import Invalid, NotFound
from app.ids import Id
from models.enums import ReviewStatus
from models.failure_card import FailureCard, Review
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from models.types import Text
from routes.portal import render
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.knowledge import near_duplicates
from routes.portal.visit import Visit, see_other
from services.accounts import users
from services.knowledge import lifecycle, reviews
from services.knowledge.access import load_visible
from services.knowledge.network import conflicts
from services.repairs import actions
from services.repairs.visibility import load_visible as load_ticket
from services.workflows.drafting import suggestions

router = page_router()


async def _load(review_id: Annotated[Id, Path()]) -> Review:
    return await reviews.get(review_id)


CurrentReview = Annotated[Review, Depends(_load)]


@router.get("/reviews")
async def list_reviews(visit: CurrentVisit) -> Response:
    """What has waited longest comes first."""
    page = await reviews.list_reviews(after=visit.request.query_params.get("after"))
    names = {one.claimed_by: await _name(one.claimed_by) for one in page.items if _claimed(one)}
    return visit.page("reviews.html", reviews=page.items, next=page.next, names=names, claimed=_claimed)


@router.get("/reviews/{review_id}")
async def show_review(visit: CurrentVisit, review: CurrentReview) -> Response:
    return await _page(visit, review)


async def _page(visit: Visit, review: Review) -> Response:
    card = await load_visible(review.card_id)
    return visit.page(
        "review.html",
        review=review,
        card=card,
        ticket=await _ticket(card),
        action=await _action(card),
        incoming=await conflicts.comparison_of(review) if review.open else None,
        made=await suggestions.latest(card.id) if review.open else None,
        # As the checks of one repair gave it, and nobody has worked on it since.
        drafted_tree=card.diagnostic_tree is not None and card.source_action_id is not None and card.version == 1,
        near=await near_duplicates(card) if review.open else [],
        holder=await _name(review.claimed_by) if _claimed(review) else "",
        mine=review.claimed_by == visit.actor.id and _claimed(review),
        free=not _claimed(review) or review.claimed_by == visit.actor.id,
    )


@router.post("/reviews/{review_id}/claim")
async def claim(visit: CurrentVisit, review: CurrentReview) -> Response:
    """Keep the others from deciding on it for a while."""
    return await _change(visit, review, reviews.claim)


@router.post("/reviews/{review_id}/release")
async def release(visit: CurrentVisit, review: CurrentReview) -> Response:
    return await _change(visit, review, reviews.release)


@router.post("/reviews/{review_id}/comment")
async def comment(visit: CurrentVisit, review: CurrentReview) -> Response:
    async def said(fresh: Review) -> Review:
        return await reviews.comment(fresh, visit.form.said("text", needed=True, kind=Text))

    return await _change(visit, review, said)


@router.post("/reviews/{review_id}/decide")
async def decide(visit: CurrentVisit, review: CurrentReview) -> Response:
    """Approve the card, or send it back with the reason."""
    form = visit.form
    decision = ReviewStatus.approved if form.get("decision") == "approve" else ReviewStatus.rejected

    async def work() -> Response:
        reason = form.said("reason", kind=Text)
        if decision is ReviewStatus.rejected and not reason:
            raise Invalid.field("reason", render.text("review.reason_needed"))
        await lifecycle.decide(await reviews.get(review.id), decision, reason)
        return see_other("/reviews")

    return await submit(visit, work, lambda: _again(visit, review.id))


async def _change(visit: Visit, review: Review, change: Callable[[Review], Awaitable[Review]]) -> Response:
    async def work() -> Response:
        await change(await reviews.get(review.id))
        return see_other(f"/reviews/{review.id}")

    return await submit(visit, work, lambda: _again(visit, review.id))


async def _again(visit: Visit, review_id: str) -> Response:
    """The review as it stands now, and why nothing was done: who holds it stands below, by name."""
    review = await reviews.get(review_id)
    if _claimed(review) and review.claimed_by != visit.actor.id:
        visit.form.notice = render.text("review.not_done")
    return await _page(visit, review)


def _claimed(review: Review) -> bool:
    """Whether somebody's claim still lasts."""
    return review.claim_expires_at is not None and review.claim_expires_at > clock.now()


async def _name(user_id: str | None) -> str:
    try:
        return (await users.get(user_id)).name if user_id else ""
    except NotFound:
        return user_id or ""


async def _ticket(card: FailureCard) -> Ticket | None:
    return await load_ticket(card.source_ticket_id) if card.source_ticket_id else None


async def _action(card: FailureCard) -> TechnicianAction | None:
    return await actions.get(card.source_action_id) if card.source_action_id else None
