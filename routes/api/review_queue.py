"""The review queue: cards that wait for an expert."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import Depends, Path, Response
from pydantic import ConfigDict, Field, StringConstraints, computed_field, model_validator

from app import clock
from app.ids import Id
from models.enums import ReviewStatus, SourceType, SubsystemCategory
from models.failure_card import Review, ReviewComment
from models.network import IncomingKind
from models.record import ActorRef
from models.types import ShortText, Strict, Text, UtcDatetime
from routes.api.card_schemas import CardBody, CardOut, content_of_body
from routes.api.deps import OptionalIfMatch, PageQuery, etag
from routes.api.duplicate_schemas import NearDuplicateOut, near_duplicates
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.knowledge import access, lifecycle, reviews
from services.knowledge.network import conflicts

router = api_router("/efi/review-queue", tag="review queue")


class ReviewOut(Out):
    review_id: str = Field(validation_alias="id")
    failure_id: str = Field(validation_alias="card_id")
    title: str = Field(validation_alias="card_title")
    subsystem_category: SubsystemCategory
    source_type: SourceType
    source_ticket_id: str | None
    status: ReviewStatus
    submitted_by: ActorRef
    created_at: UtcDatetime
    claimed_by: str | None
    claim_expires_at: UtcDatetime | None = Field(description="The claim ends by itself then.")
    decided_by: str | None
    decided_at: UtcDatetime | None
    decision_reason: str
    comments: list[ReviewComment]

    @computed_field(description="Hours from submission to the decision, or until now.")
    @property
    def age_hours(self) -> float:
        end: datetime = self.decided_at or clock.now()
        return round((end - self.created_at).total_seconds() / 3600, 2)


class ThreeWayOut(Out):
    field: str = Field(
        examples=["resolution_steps[2].action"],
        description="Path of what differs; an element of a list stands in brackets under its own key.",
    )
    base: Any = Field(default=None, description="As it was in the last version that both services have seen.")
    ours: Any = None
    theirs: Any = None
    conflict: bool = Field(description="Both have changed this field of the card, and not alike.")


class IncomingOut(Out):
    """A version from another service beside ours. It was made there without sight of ours, or may not be taken over
    without an expert."""

    kind: IncomingKind
    peer_id: str
    version: int
    has_base: bool = Field(description="Whether there is a version that both have seen.")
    differences: list[ThreeWayOut]


class ReviewDetail(ReviewOut):
    card: CardOut
    incoming: IncomingOut | None = Field(default=None, description="The version from elsewhere that is decided on.")
    near_duplicates: list[NearDuplicateOut] | None = Field(
        description="Cards that may describe the same failure, computed anew; null once the card has been decided."
    )


class Decision(Strict):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decision": "rejected", "reason": "Which resistance was measured?"}]}
    )

    decision: Literal["approved", "rejected"]
    reason: ShortText = Field(default="", description="Needed to reject.")
    content: CardBody | None = Field(
        default=None,
        description="Only where a version came from another service: the whole card as it is to be everywhere. "
        "Without it, approving puts their changes on top of ours; rejecting keeps ours.",
    )

    @model_validator(mode="after")
    def _rejecting_needs_a_reason(self) -> Self:
        if self.decision == "rejected" and not self.reason:
            raise ValueError("a rejection needs a reason")
        if self.decision == "rejected" and self.content is not None:
            raise ValueError("content goes with an approval")
        return self


class Comment(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Please add the measured resistance."}]})

    text: Annotated[Text, StringConstraints(min_length=1, max_length=5000)]


async def _load(review_id: Annotated[Id, Path()], revision: OptionalIfMatch) -> Review:
    review = await reviews.get(review_id)
    reviews.require_revision(review, revision)
    return review


CurrentReview = Annotated[Review, Depends(_load)]
"""The review of the path; 412 if the caller sent an If-Match and it has changed since."""


def _shown(review: Review, response: Response) -> ReviewOut:
    etag(response, review.revision)
    return ReviewOut.model_validate(review)


@router.get("")
async def list_reviews(
    page: PageQuery,
    status: ReviewStatus | None = None,
    subsystem_category: SubsystemCategory | None = None,
    source_type: SourceType | None = None,
    failure_id: Id | None = None,
) -> PageOut[ReviewOut]:
    """What waits or is claimed, or the reviews of one status; those that have waited longest first."""
    found = await reviews.list_reviews(
        status=status,
        subsystem_category=subsystem_category,
        source_type=source_type,
        card_id=failure_id,
        **page.as_arguments(),
    )
    return PageOut[ReviewOut].of(found)


@router.get("/{review_id}", responses=problems(404, 412))
async def get_review(review: CurrentReview, response: Response) -> ReviewDetail:
    """The review with its card and comments, the cards that may describe the same failure, and, where a version came
    from another service, the three-way diff."""
    card = await access.load_visible(review.card_id)
    etag(response, review.revision)
    shown = {"card": CardOut.of(card, inside=True), "near_duplicates": await near_duplicates(card)}
    if (found := await conflicts.comparison_of(review)) is not None:
        shown["incoming"] = {
            "kind": found.incoming.kind,
            "peer_id": found.incoming.peer_id,
            "version": found.incoming.item.version,
            "has_base": found.base is not None,
            "differences": found.lines,
        }
    return ReviewDetail.model_validate({**dict(review), **shown})


@router.post("/{review_id}/claim", responses=problems(404, 409, 412))
async def claim_review(review: CurrentReview, response: Response) -> ReviewOut:
    """Keep others from reviewing it for an hour; claiming one's own again renews it."""
    return _shown(await reviews.claim(review), response)


@router.post("/{review_id}/release", responses=problems(404, 409, 412))
async def release_review(review: CurrentReview, response: Response) -> ReviewOut:
    """Give a claim back."""
    return _shown(await reviews.release(review), response)


@router.post("/{review_id}/decide", responses=problems(404, 409, 412))
async def decide_review(review: CurrentReview, body: Decision, response: Response) -> ReviewOut:
    """Approve or reject the card, or the version of it that came from another service. A draft that waits here is
    submitted and decided in one step."""
    content = body.content and content_of_body(body.content)
    return _shown(await lifecycle.decide(review, ReviewStatus(body.decision), body.reason, content), response)


@router.post("/{review_id}/comments", status_code=201, responses=problems(404, 409, 412))
async def comment_on_review(review: CurrentReview, body: Comment, response: Response) -> ReviewOut:
    """Ask or answer; also after the decision."""
    return _shown(await reviews.comment(review, body.text), response)
