"""Help with drafts: content out of a ticket's repairs, and suggestions with their sources."""

from typing import Annotated

from fastapi import Path, Response
from pydantic import Field

from app.errors import NotFound
from models.draft_suggestion import ModelStatus, Suggestion
from models.failure_card import CardContent
from models.types import UtcDatetime
from routes.api.card_schemas import CardOut
from routes.api.deps import CurrentActor, IfMatch, etag
from routes.api.failure_cards import CurrentCard
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out
from routes.api.tickets import CurrentTicket
from services.knowledge import access
from services.workflows.drafting import suggestions

router = api_router("", tag="draft assistance")


class DraftOut(Out):
    """Content to start a card from. Nothing is stored."""

    content: CardContent
    redacted: dict[str, int] = Field(description="How much personal data was taken out, by kind.")


class SuggestionsOut(Out):
    suggestions: list[Suggestion] = Field(description="Guesses until somebody accepts them.")
    created_at: UtcDatetime
    model_status: ModelStatus = Field(description="Of the language model; `off`: none is configured.")
    model_note: str | None


@router.get("/tickets/{ticket_id}/draft-card", responses=problems(404, 409))
async def draft_card(ticket: CurrentTicket) -> DraftOut:
    """A failure card out of a ticket and all work on it, by rules, without personal data: a start for an author."""
    content, redacted = await suggestions.preview(ticket)
    return DraftOut(content=content, redacted=redacted)


@router.post("/efi/failure-cards/{failure_id}/suggestions", status_code=201, responses=problems(403, 404, 409))
async def suggest(card: CurrentCard) -> SuggestionsOut:
    """Look for causes anew: in the technicians' words, in alike cards, and by the language model if there is one, whose
    answer follows within a minute or two."""
    access.require_editor(card)
    return SuggestionsOut.model_validate(await suggestions.suggest(card))


@router.get("/efi/failure-cards/{failure_id}/suggestions", responses=problems(404))
async def list_suggestions(card: CurrentCard) -> SuggestionsOut:
    """The latest round of suggestions; a discovered draft has one from the start."""
    made = await suggestions.latest(card.id)
    if made is None:
        raise NotFound(f"Nobody has asked for suggestions on {card.id} yet.")
    return SuggestionsOut.model_validate(made)


@router.post("/efi/failure-cards/{failure_id}/suggestions/{number}/accept", responses=problems(404, 409, 412, 428))
async def accept_suggestion(
    card: CurrentCard,
    number: Annotated[int, Path(ge=1, le=1000)],
    edition: IfMatch,
    actor: CurrentActor,
    response: Response,
) -> CardOut:
    """Take a suggestion over into the card: an edit like any other, in the caller's name."""
    edited = await suggestions.accept(card, number, edition=edition)
    etag(response, edited.edition)
    return CardOut.of(edited, inside=access.sees_every_card(actor))


@router.post("/efi/failure-cards/{failure_id}/suggestions/{number}/dismiss", responses=problems(403, 404, 409))
async def dismiss_suggestion(card: CurrentCard, number: Annotated[int, Path(ge=1, le=1000)]) -> SuggestionsOut:
    """Set a suggestion aside; it is kept, and marked."""
    return SuggestionsOut.model_validate(await suggestions.dismiss(card, number))
