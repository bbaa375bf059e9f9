"""Workflow 3 (specification, §4.2): what a resolved ticket says about the cards that were used, and what a revisit
takes back.

Every card used in the passage gets one outcome, by the last action that used it: what was done before with the same
card led there, and what other actions found speaks about their own cards. It is a success if that action ended in
success and found no new issue, the ticket was resolved with success, no revisit was needed or followed within the
return window, and the customer, if asked, gave 3 of 5 or more.

The order of events does not matter: a resolution weighed after the revisit counts as the failure it was.
"""

from dataclasses import dataclass
from typing import Any

from models.enums import ResolutionOutcome
from models.event import EfiEvent, TicketInProgress, TicketResolved
from models.technician_action import TechnicianAction
from services.events.handler import handles_as
from services.knowledge import confidence
from services.repairs import passages
from services.repairs.passages import Passage

SATISFIED_FROM = 3
"""Of five. Below, the repair does not count as a success whatever the technician says."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a card's fix worked in one passage, and why that is thought."""

    card_id: str
    success: bool
    reason: str
    actions: list[TechnicianAction]

    @property
    def action_ids(self) -> list[str]:
        return [action.id for action in self.actions]


def judge(passage: Passage, resolved: TicketResolved) -> list[Judgement]:
    """One judgement for each card used in the passage, in the order of ids."""
    used: dict[str, list[TechnicianAction]] = {}
    for action in passage.actions:
        if action.failure_card_used is not None:
            used.setdefault(action.failure_card_used, []).append(action)
    judgements = []
    for card_id in sorted(used):
        against = _against(used[card_id][-1], passage, resolved)
        reason = against or "the repair succeeded"
        judgements.append(Judgement(card_id, against is None, reason, used[card_id]))
    return judgements


def _against(last: TechnicianAction, passage: Passage, resolved: TicketResolved) -> str | None:
    """What speaks against a success, None if nothing does."""
    if last.resolution_outcome is not ResolutionOutcome.success:
        return f"the last repair by the card ended as {last.resolution_outcome}"
    if last.new_issue_found:
        return "a new issue was found"
    if not resolved.resolution_successful:
        return "the ticket was resolved without success"
    if resolved.revisit_required:
        return "a revisit is required"
    if passage.came_back:
        return "the vehicle came back within the return window"
    rating = resolved.customer_satisfaction
    if rating is not None and rating < SATISFIED_FROM:
        return f"the customer gave {rating} of 5"
    return None


@handles_as("learning")
async def weigh_outcomes(event: EfiEvent) -> dict[str, Any]:
    """Count one outcome for each card used, with its effect on confidence, effectiveness and evidence."""
    await passages.hold(event.data["ticket_id"])
    passage, judgements = await _judged(event)
    if passage is None or not judgements:
        return {"skipped": "no action used a card"}
    for judged in judgements:
        await confidence.record_outcome(
            judged.card_id,
            passage.ticket,
            passage.number,
            judged.action_ids,
            judged.success,
            judged.reason,
            event.created_at,
            event.id,
            judged.actions[-1].technician_id,
        )
    return {"cards": {judged.card_id: {"success": judged.success, "reason": judged.reason} for judged in judgements}}


@handles_as("learning")
async def take_success_back(event: EfiEvent) -> dict[str, Any]:
    """A revisit within the return window shows that the passage before had not solved the problem."""
    moved = TicketInProgress.model_validate(event.data)
    if moved.revisit_of_round is None or not moved.within_return_window:
        return {"skipped": "no revisit within the return window"}
    reason = "the vehicle came back within the return window"
    changes = await confidence.take_back(moved.ticket_id, moved.revisit_of_round, reason, event.id)
    return {"taken_back": len(changes)}


async def _judged(event: EfiEvent) -> tuple[Passage | None, list[Judgement]]:
    resolved = TicketResolved.model_validate(event.data)
    passage = await passages.read(resolved.ticket_id, resolved.resolution_round)
    return passage, judge(passage, resolved) if passage else []
