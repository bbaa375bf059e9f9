"""Repairs flag the cards that they had to bend, once, and people hear what came of what they said."""

import pytest

from app.security import Actor, acting_as, system
from models.enums import FailureCardStatus, ResolutionOutcome, Severity
from models.event import EfiEvent, EventReceipt, EventType
from models.failure_card import FailureCard, ResolutionStep
from models.governance import CardFlag, FirmwareSighting, FlagKind, FlagStatus
from models.notification import Notification
from services.knowledge import flags, lifecycle, merging, proposals, use_review
from services.knowledge.content import content_of
from services.workflows.governance import worked_differently
from tests.services.workflows.conftest import Workshop

STEPS = [
    ResolutionStep(step_number=1, action="Isolate the high voltage system"),
    ResolutionStep(step_number=2, action="Replace the balancing board of the cell group"),
]


async def flags_on(card: FailureCard) -> dict[FlagKind, CardFlag]:
    with acting_as(system("test")):
        return {flag.kind: flag async for flag in CardFlag.find({"card_id": card.id})}


async def told(person: Actor) -> list[str]:
    with acting_as(system("test")):
        return [one.subject async for one in Notification.find({"user_id": person.id}).sort("_id")]


async def repair(workshop: Workshop, card: FailureCard, **content: object) -> None:
    await workshop.action(await workshop.ticket(), failure_card_used=card.id, **content)
    await workshop.settle()


async def test_a_card_used_with_modifications_is_flagged_once_and_gathers(workshop: Workshop, seeing: None):
    card = await workshop.approved_card(resolution_steps=STEPS)
    await repair(workshop, card, failure_card_modifications=["the board has no R14", "used a jumper"])
    await repair(workshop, card, failure_card_modifications=["no R14"])
    await repair(workshop, card)
    found = await flags_on(card)
    assert found.keys() == {FlagKind.modified_in_use}
    flag = found[FlagKind.modified_in_use]
    assert (flag.report_count, flag.reporter_ids) == (2, [workshop.technician.id])
    assert flag.reports[0].text == "the board has no R14; used a jumper"
    assert flag.reports[0].action_id is not None
    assert (await workshop.fresh(card)).open_flags == 1
    assert (await told(workshop.expert)).count(f"Flagged: {card.title}") == 1, "the author, once"


async def test_the_same_event_flags_once_however_often_it_is_delivered(workshop: Workshop, seeing: None):
    card = await workshop.approved_card()
    await repair(workshop, card, failure_card_modifications=["no R14"])
    event = await EfiEvent.find_one({"event_type": EventType.action_completed.value})
    assert await EventReceipt.find_one({"_id": f"{event.id}:flag_use"}) is not None
    again = {"$set": {"status": "pending", "attempts": 0}}
    await EfiEvent.get_pymongo_collection().update_one({"_id": event.id}, again)
    await workshop.settle()
    assert (await flags_on(card))[FlagKind.modified_in_use].report_count == 1


async def test_a_poor_rating_says_the_card_is_wrong(workshop: Workshop, seeing: None):
    card = await workshop.approved_card()
    await repair(workshop, card, failure_card_accuracy_rating=3)
    assert await flags_on(card) == {}
    await repair(workshop, card, failure_card_accuracy_rating=2, technician_notes="another connector")
    found = await flags_on(card)
    assert found.keys() == {FlagKind.wrong}
    assert found[FlagKind.wrong].reports[0].text == "Accuracy rated 2 of 5: another connector"


@pytest.mark.parametrize(
    ("steps", "outcome", "differs"),
    [
        (["Isolated the HV system", "replaced balancing board"], "success", False),
        (["Reflashed the firmware", "cleared the fault memory"], "success", True),
        (["Replaced the balancing board", "reflashed the firmware"], "success", False),
        (["Reflashed the firmware", "cleared the fault memory"], "failed", False),
        ([], "success", False),
    ],
)
async def test_which_steps_are_other_steps(workshop: Workshop, steps: list[str], outcome: str, differs: bool):
    card = await workshop.approved_card(resolution_steps=STEPS)
    action = await workshop.action(
        await workshop.ticket(),
        failure_card_used=card.id,
        resolution_steps_followed=steps,
        resolution_outcome=ResolutionOutcome(outcome),
    )
    assert worked_differently(action, card) is differs


async def test_a_merged_cards_use_flags_the_survivor(workshop: Workshop, seeing: None):
    kept, retired = await workshop.approved_card("Balancing board fails"), await workshop.approved_card("Board fails")
    with acting_as(workshop.expert):
        await merging.merge(retired, kept.id, reason="one failure")
    await repair(workshop, retired, failure_card_modifications=["no R14"])
    assert (await flags_on(kept)).keys() == {FlagKind.modified_in_use}
    assert await flags_on(retired) == {}


async def test_author_flagger_and_proposer_hear_the_outcome(workshop: Workshop, seeing: None):
    card = await workshop.approved_card()
    await repair(workshop, card, failure_card_modifications=["no R14"])
    flag = (await flags_on(card))[FlagKind.modified_in_use]
    proposed = content_of(card).model_copy(update={"root_cause": "The board has no R14"})
    with acting_as(workshop.technician):
        first = await proposals.propose(flag, proposed, "as built since 2025")
        harmless = proposed.model_copy(update={"severity": Severity.low})
        second = await proposals.propose(await flags.get(flag.id), harmless, "and harmless")
    await workshop.settle()
    assert f"Proposed edit: {card.title}" in await told(workshop.second_expert)
    with acting_as(workshop.second_expert):
        await proposals.decline(await proposals.get(second.id), "it is not")
        await proposals.accept(await proposals.get(first.id))
    await workshop.settle()
    assert sorted(await told(workshop.technician)) == [
        f"Put right: {card.title}",
        f"Your proposal was accepted: {card.title}",
        f"Your proposal was declined: {card.title}",
    ]
    assert f"Put right: {card.title}" in await told(workshop.expert)
    fresh = await workshop.fresh(card)
    assert (fresh.version, fresh.root_cause, fresh.open_flags) == (2, "The board has no R14", 0)


async def test_a_card_that_goes_out_of_use_settles_its_flags(workshop: Workshop, seeing: None):
    card = await workshop.approved_card()
    with acting_as(workshop.technician):
        flag = await flags.raise_flag(card, FlagKind.outdated, flags.report("new board", 1))
    with acting_as(workshop.expert):
        await lifecycle.deprecate(await workshop.fresh(card), "redesigned")
    await workshop.settle()
    fresh = await workshop.fresh(card)
    assert (fresh.status, fresh.open_flags) == (FailureCardStatus.deprecated, 0)
    assert (await flags.get(flag.id)).status is FlagStatus.dismissed
    assert await told(workshop.technician) == [f"Found right as it is: {card.title}"]


async def test_a_repair_that_worked_is_a_review_and_a_revisit_takes_it_back(workshop: Workshop, seeing: None):
    card = await workshop.approved_card()
    ticket = await workshop.ticket(vehicle_make="Ather", vehicle_model="450X", vehicle_firmware="4.2")
    await workshop.action(ticket, failure_card_used=card.id)
    await workshop.resolve(ticket)
    await workshop.settle()
    seen = await use_review.by_use(await workshop.fresh(card))
    assert (seen.confirmations, seen.technicians, seen.sites, seen.version_confirmed) == (1, 1, 1, 1)
    [use] = (await use_review.uses_of({card.id: ()}))[card.id]
    assert (use.technician_id, use.model, use.firmware) == (workshop.technician.id, "ather|450x", "4.2")
    await workshop.reopen(ticket)
    await workshop.settle()
    taken_back = await use_review.by_use(await workshop.fresh(card))
    assert (taken_back.confirmations, taken_back.last_confirmed_at) == (0, None)


async def test_firmware_of_tickets_is_noted_once_each(workshop: Workshop, seeing: None):
    for _ in range(2):
        await workshop.ticket(vehicle_make="Ather", vehicle_model="450X", vehicle_firmware="4.2")
    await workshop.ticket(vehicle_make="Ather", vehicle_model="450X")
    await workshop.settle()
    [seen] = await FirmwareSighting.find().to_list()
    assert (seen.id, seen.tickets) == ("ather|450x|4.2", 2)
