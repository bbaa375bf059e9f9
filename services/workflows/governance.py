"""Keeping knowledge right: repairs that went another way flag their card, and people hear what came of a flag."""

from typing import Any

from app.ids import is_id
from app.security import ActorKind, Role
from matching.text import terms
from models.enums import FailureCardStatus, ResolutionOutcome
from models.event import ActionCompleted, CardDeprecated, CardUpdated, EfiEvent, TicketCreated
from models.failure_card import FailureCard
from models.governance import CardFlag, CardProposal, FlagKind, ProposalStatus
from models.record import ActorRef
from models.technician_action import TechnicianAction
from models.ticket import Ticket
from services.accounts import users
from services.engagement.notifications import notify
from services.events.handler import handles_as
from services.knowledge import firmware, flags
from services.knowledge.survivors import survivor

POOR = 2
"""Of five. A rating so low says that the card is wrong about something."""
SAME_STEP = 0.5
"""Share of a step's words that must stand in one step of the card for both to be the same."""


@handles_as("curation")
async def flag_use(event: EfiEvent) -> dict[str, Any]:
    """A card that was used with modifications, found inaccurate, or worked by other steps than its own is flagged."""
    completed = ActionCompleted.model_validate(event.data)
    action = await TechnicianAction.find_one({"_id": completed.action_id})
    if action is None or action.failure_card_used is None:
        return {"skipped": "no card was used"}
    card = await FailureCard.find_one({"_id": await survivor(action.failure_card_used)})
    if card is None or card.status is FailureCardStatus.deprecated:
        return {"skipped": "the card is not in use any more"}
    by = ActorRef(kind=ActorKind.user, id=action.technician_id, name=action.technician_name)
    raised = {}
    for kind, text in _complaints(action, card).items():
        said = flags.report(text[:500], card.version, by=by, ticket_id=action.ticket_id, action_id=action.id)
        # Each flag writes the card.
        raised[kind.value] = (await flags.raise_flag(await flags.present_card(card.id), kind, said)).id
    return {"flags": raised}


def _complaints(action: TechnicianAction, card: FailureCard) -> dict[FlagKind, str]:
    """What the action says is the matter with the card, by kind."""
    said: dict[FlagKind, str] = {}
    if action.failure_card_modifications:
        said[FlagKind.modified_in_use] = "; ".join(action.failure_card_modifications)
    elif worked_differently(action, card):
        said[FlagKind.modified_in_use] = "Repaired by other steps: " + "; ".join(action.resolution_steps_followed)
    rating = action.failure_card_accuracy_rating
    if rating is not None and rating <= POOR:
        notes = f": {action.technician_notes}" if action.technician_notes else ""
        said[FlagKind.wrong] = f"Accuracy rated {rating} of 5{notes}"
    return said


def worked_differently(action: TechnicianAction, card: FailureCard) -> bool:
    """Whether a repair succeeded by steps of which fewer than half are the card's.

    Technicians write steps in their own words: one is the card's if SAME_STEP of its words stand in a step there.
    """
    own = [set(terms(f"{step.action} {step.details}")) for step in card.resolution_steps]
    followed = [words for step in action.resolution_steps_followed if (words := set(terms(step)))]
    if not (own and followed) or action.resolution_outcome is not ResolutionOutcome.success:
        return False
    known = sum(any(len(words & step) >= SAME_STEP * len(words) for step in own) for words in followed)
    return 2 * known < len(followed)


@handles_as("curation")
async def see_firmware(event: EfiEvent) -> dict[str, Any]:
    """Note the firmware of a vehicle that comes in: cards may not know it yet."""
    created = TicketCreated.model_validate(event.data)
    ticket = await Ticket.find_one({"_id": created.ticket_id})
    if ticket is None or not (ticket.vehicle_firmware and ticket.vehicle_make and ticket.vehicle_model):
        return {"skipped": "no firmware of a known model"}
    established = await firmware.see(ticket.vehicle_make, ticket.vehicle_model, ticket.vehicle_firmware)
    return {"firmware": ticket.vehicle_firmware, "established": established}


@handles_as("curation")
async def settle_flags(event: EfiEvent) -> dict[str, Any]:
    """Flags of a card that went out of use are settled; those of a merged one have moved to the survivor."""
    deprecated = CardDeprecated.model_validate(event.data)
    card = await FailureCard.find_one({"_id": deprecated.card_id})
    if card is None or deprecated.merged_into is not None:
        return {"skipped": "merged"}
    return {"settled": await flags.close_all(card, f"The card went out of use: {deprecated.reason}"[:500])}


@handles_as("engagement")
async def tell_curators(event: EfiEvent) -> dict[str, Any]:
    """Experts hear of a proposed edit; without an expert, admins do."""
    updated = CardUpdated.model_validate(event.data)
    card = await FailureCard.find_one({"_id": updated.card_id})
    if updated.change != "proposed" or card is None:
        return {"skipped": "nothing was proposed"}
    role = Role.expert if await users.with_role(Role.expert) else Role.admin
    told = await notify(
        role,
        subject=f"Proposed edit: {card.title}"[:200],
        body=updated.reason,
        link=f"/api/efi/card-proposals/{updated.proposal_id}",
        dedupe_key=f"{updated.proposal_id}:proposed",
    )
    return {"told": len(told)}


@handles_as("engagement")
async def tell_outcome(event: EfiEvent) -> dict[str, Any]:
    """The author hears of a new flag; the author, and who flagged or proposed, hear how it was settled."""
    updated = CardUpdated.model_validate(event.data)
    card = await FailureCard.find_one({"_id": updated.card_id})
    if card is None or updated.flag_id is None or updated.change not in _SUBJECTS:
        return {"skipped": "nothing to tell"}
    flag = await CardFlag.find_one({"_id": updated.flag_id})
    if flag is None:
        return {"skipped": "no such flag"}
    people = await _concerned(updated, flag, card)
    told = await notify(
        sorted(one for one in people if is_id(one, "user") and one != event.actor.id),
        subject=f"{_SUBJECTS[updated.change]}: {card.title}"[:200],
        body="\n\n".join(filter(None, (f"Flagged as {flag.kind.value.replace('_', ' ')}.", updated.reason))),
        link=f"/api/efi/failure-cards/{card.id}",
        # A flag that gathers is news once; an end is the end of one flag or one proposal.
        dedupe_key=f"{updated.proposal_id or flag.id}:{updated.change}",
    )
    return {"told": len(told)}


_SUBJECTS = {
    "flagged": "Flagged",
    "flag_resolved": "Put right",
    "flag_dismissed": "Found right as it is",
    "proposal_accepted": "Your proposal was accepted",
    "proposal_declined": "Your proposal was declined",
}


async def _concerned(updated: CardUpdated, flag: CardFlag, card: FailureCard) -> set[str]:
    if updated.change == "flagged":
        # Who flags a card of their own knows.
        return {card.created_by} - {flag.reports[0].by.id}
    proposals = await CardProposal.find({"flag_id": flag.id}).to_list()
    if updated.proposal_id is not None:
        return {one.proposer_id for one in proposals if one.id == updated.proposal_id}
    overtaken = {one.proposer_id for one in proposals if one.status is ProposalStatus.superseded}
    return {card.created_by, *flag.reporter_ids, *overtaken}
