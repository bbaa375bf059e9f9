"""What the owner of a vehicle may be told of the failures that are suspected, before the workshop has looked."""

from dataclasses import dataclass

from app.errors import Forbidden
from app.security import current_actor
from models.match_run import MatchRun
from models.ticket import Ticket
from services.accounts import directory
from services.repairs.visibility import works_at

TOLD = 3
LEAST_PROBABILITY = 0.05
"""What is less likely would only unsettle."""


class Withheld(Forbidden):
    code, title = "likely_causes_withheld", "Likely causes are not shown to this organisation"


@dataclass(frozen=True, slots=True)
class LikelyCause:
    """`probability` is None where the scorer gives none."""

    title: str
    probability: float | None


async def may_be_told(ticket: Ticket) -> bool:
    """Whether the current actor may know: the workshop always, a customer where an admin allows it."""
    actor = current_actor()
    if works_at(actor, ticket.site_id):
        return True
    return actor.organisation_id is not None and await directory.shows_likely_causes(actor.organisation_id)


async def of(ticket: Ticket) -> list[LikelyCause]:
    """What was found when the ticket was matched, likeliest first; empty before that. Raises Withheld."""
    if not await may_be_told(ticket):
        raise Withheld("An admin decides whether customers are shown what is suspected.")
    run = await MatchRun.find_one({"_id": ticket.match_run_id}) if ticket.match_run_id else None
    shown = [one for one in run.candidates if not one.is_draft] if run else []
    return [
        LikelyCause(one.title, one.probability)
        for one in shown
        if one.probability is None or one.probability >= LEAST_PROBABILITY
    ][:TOLD]
