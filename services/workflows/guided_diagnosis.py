"""What resolved tickets teach guided diagnosis: how often a test's answer goes with a cause."""

from typing import Any

from models.event import EfiEvent, TicketInProgress, TicketResolved
from services.diagnosis.guided import experience
from services.events.handler import handles_as
from services.repairs import passages
from services.workflows.ticket_resolved import judge


@handles_as("learning")
async def learn_tests(event: EfiEvent) -> dict[str, Any]:
    """Count the passage's answered checks for the card whose repair worked.

    Only where exactly one did: of two, nobody knows which one the answers belong to.
    """
    resolved = TicketResolved.model_validate(event.data)
    await passages.hold(resolved.ticket_id)
    passage = await passages.read(resolved.ticket_id, resolved.resolution_round)
    worked = [judged.card_id for judged in judge(passage, resolved) if judged.success] if passage else []
    if passage is None or len(worked) != 1:
        return {"skipped": "no single cause was confirmed"}
    said = await experience.outcomes_in(done for action in passage.actions for done in action.attempted_diagnostics)
    counted = await experience.learn(worked[0], passage.ticket, passage.number, said, event.created_at, event.id)
    return {"card": worked[0], "tests": counted}


@handles_as("learning")
async def take_tests_back(event: EfiEvent) -> dict[str, Any]:
    """A revisit within the return window shows that the cause had not been found."""
    moved = TicketInProgress.model_validate(event.data)
    if moved.revisit_of_round is None or not moved.within_return_window:
        return {"skipped": "no revisit within the return window"}
    return {"taken_back": await experience.take_back(moved.ticket_id, moved.revisit_of_round)}
