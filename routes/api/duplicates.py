"""Near duplicates of a card, and merging two cards into one."""

from typing import Annotated

from fastapi import Query, Response

from models.types import Share
from routes.api.card_schemas import CardOut, content_of_body
from routes.api.deps import etag
from routes.api.duplicate_schemas import Merging, NearDuplicateOut, NearDuplicatesOut
from routes.api.failure_cards import CardAsRead, CurrentCard
from routes.api.http import api_router
from routes.api.problems import problems
from services.diagnosis import duplicates
from services.diagnosis.duplicates import SHOWN, THRESHOLD
from services.knowledge import merging

router = api_router("/efi/failure-cards", tag="failure cards")


@router.get("/{failure_id}/near-duplicates", responses=problems(404, 503))
async def list_near_duplicates(
    card: CurrentCard,
    limit: Annotated[int, Query(ge=1, le=50)] = SHOWN,
    min_similarity: Annotated[Share, Query(description="Leave out what is less similar.")] = THRESHOLD,
) -> NearDuplicatesOut:
    """Cards that probably describe the same failure, with the facts in which they differ; computed anew."""
    found = await duplicates.near_duplicates(card, limit=limit, min_similarity=min_similarity)
    items = [NearDuplicateOut.model_validate(one) for one in found]
    return NearDuplicatesOut(failure_id=card.id, items=items)


@router.post("/{failure_id}/merge", responses=problems(404, 409, 412))
async def merge_failure_card(card: CardAsRead, body: Merging, response: Response) -> CardOut:
    """Retire the card in favour of another one, which is answered in its new version.

    What repairs taught counts for the survivor, once; the retired card stays readable with `merged_into`. Merging the
    same two again changes nothing. An approved card is only merged into an approved one. If-Match is the retired
    card's ETag.
    """
    kept = await merging.merge(
        card,
        body.into,
        reason=body.reason,
        take=[field.value for field in body.take],
        content=content_of_body(body.content) if body.content is not None else None,
        into_edition=body.into_edition,
    )
    etag(response, kept.edition)
    return CardOut.of(kept, inside=True)
