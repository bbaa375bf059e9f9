"""Checks that should have come before a repair."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from app.ids import Id
from models.diagnosis import Check
from models.types import Share
from routes.api.http import api_router
from routes.api.override_schemas import OverrideOut
from routes.api.problems import problems
from routes.api.schemas import Out
from routes.api.tickets import CurrentTicket
from services.diagnosis.guided import guard, overrides
from services.repairs.cards import require_cards

router = api_router("/tickets/{ticket_id}", tag="guided diagnosis")


class MissedCheckOut(Out):
    check: Check
    cost: float = Field(description="Of the check, in the organisation's currency.")
    saves: float = Field(description="On average, net of its cost, against relying on the card.")
    now: Share = Field(description="Probability that the card is the cause, as things stand.")
    if_yes: Share
    if_no: Share
    reason: str


class MissedChecksOut(Out):
    """Empty where nothing is amiss."""

    items: list[MissedCheckOut]
    passed_over: list[OverrideOut] = Field(description="Who went on without a check, when and why, oldest first.")


@router.get("/missed-checks", responses=problems(404))
async def list_missed_checks(
    ticket: CurrentTicket,
    card_id: Annotated[
        Id | None, Query(description="The card relied on; the ticket's selected one if left out.")
    ] = None,
) -> MissedChecksOut:
    """Cheap, decisive checks that were not made: a warning. Resolving a ticket and taking an expensive part for a card
    are refused once because of them (`check_missed`); a `missed_checks_reason` goes on all the same, and is kept."""
    await require_cards({"card_id": card_id})
    return MissedChecksOut(
        items=[MissedCheckOut.model_validate(one) for one in await guard.missed_checks(ticket, card_id)],
        passed_over=[OverrideOut.model_validate(one) for one in await overrides.on_ticket(ticket.id)],
    )
