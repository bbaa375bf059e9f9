"""Suggestions for a draft, each with the sources it rests on: taken over or set aside by a click."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.knowledge import CurrentCard
from routes.portal.visit import Visit, own_path, see_other
from services.knowledge.access import load_visible
from services.workflows.drafting import suggestions

router = page_router()


@router.get("/cards/{card_id}/suggestions")
async def show_suggestions(visit: CurrentVisit, card: CurrentCard) -> Response:
    return await _page(visit, card.id)


@router.post("/cards/{card_id}/suggestions")
async def look_for_suggestions(visit: CurrentVisit, card: CurrentCard) -> Response:
    """Make a new round of them."""

    async def work() -> Response:
        await suggestions.suggest(await load_visible(card.id))
        return see_other(_back(visit, card.id))

    return await submit(visit, work, lambda: _page(visit, card.id))


@router.post("/cards/{card_id}/suggestions/{number}")
async def decide_on_suggestion(
    visit: CurrentVisit, card: CurrentCard, number: Annotated[int, Path(ge=1, le=1000)]
) -> Response:
    """Take one over as an edit of one's own, or set it aside."""

    async def work() -> Response:
        fresh = await load_visible(card.id)
        if visit.form.get("how") == "take":
            await suggestions.accept(fresh, number, edition=visit.form.revision() or 0)
        else:
            await suggestions.dismiss(fresh, number)
        return see_other(_back(visit, card.id))

    return await submit(visit, work, lambda: _page(visit, card.id))


async def _page(visit: Visit, card_id: str) -> Response:
    card = await load_visible(card_id)
    back = _back(visit, card_id)
    return visit.page("suggestions.html", card=card, made=await suggestions.latest(card_id), back=back)


def _back(visit: Visit, card_id: str) -> str:
    target = visit.form.get("back") or visit.request.query_params.get("back", "")
    return own_path(target) if target else f"/cards/{card_id}/suggestions"
