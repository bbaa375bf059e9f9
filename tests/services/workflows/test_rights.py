"""Agents touch what the table grants them, and the table grants nothing else."""

import pytest

from app import clock, database
from app.security import acting_as, system
from models.failure_card import CardContent
from models.governance import FlagKind
from models.incident import Incident, IncidentStatistic, IncidentTicket, SharedFacts
from models.technician_action import AttemptedDiagnostic, RejectedHypothesis
from services.knowledge import cards, flags, lifecycle, merging, proposals
from services.knowledge.content import content_of
from services.knowledge.firmware import ESTABLISHED
from services.repairs import ticket_moves
from services.workflows import HANDLERS
from services.workflows.rights import GRANTS
from tests.services.diagnosis.guided_samples import leaf
from tests.services.workflows.conftest import DISCOVERY, Workshop


async def test_every_handler_works_within_the_rights_of_its_agent_and_has_a_name_of_its_own(workshop: Workshop):
    handlers = [handler for handlers in HANDLERS.values() for handler in handlers]
    assert {handler.agent for handler in handlers} == set(GRANTS)
    assert len({handler.name for handler in handlers}) == len({id(handler) for handler in handlers})


@pytest.mark.parametrize("agent", sorted(GRANTS))
async def test_no_right_is_granted_that_is_not_needed(workshop: Workshop, agent: str):
    """Every grant is used somewhere in the learning loop: what is seen here is what the table may say, no more."""
    used: set[tuple[str, database.Access]] = set()
    database.guard.observe = lambda actor, collection, access, _: (
        used.add((collection, access)) if actor.id == f"agent:{agent}" else None
    )
    try:
        await _everything(workshop)
    finally:
        database.guard.observe = None
    granted = {(model.Settings.name, access) for model, accesses in GRANTS[agent].items() for access in accesses}
    assert granted == used


async def _everything(workshop: Workshop) -> None:
    card = await workshop.approved_card(diagnostic_tree=leaf("Is the balancing resistor open?"))
    checked = [AttemptedDiagnostic(step_id="n1", card_id=card.id, check_performed="measured", answer=True)]
    ticket = await workshop.ticket("Stops charging", description="The charging latch jams")
    with acting_as(workshop.expert):
        await ticket_moves.assign(ticket, workshop.technician.id)
    rejected = [RejectedHypothesis(hypothesis="fuse", card_id=card.id, reason_rejected="whole")]
    await workshop.action(ticket, **DISCOVERY, rejected_hypotheses=rejected)
    used = {"failure_card_used": card.id, "attempted_diagnostics": checked}
    await workshop.action(ticket, **used, failure_card_accuracy_rating=5, failure_card_modifications=["other board"])
    await workshop.resolve(ticket)
    await workshop.settle()
    await _incidents(workshop)
    await workshop.reopen(ticket)
    await workshop.action(ticket, failure_card_used=card.id)
    await workshop.resolve(ticket)
    await workshop.reopen(ticket)
    await workshop.settle()
    for _ in range(ESTABLISHED):
        await workshop.ticket(vehicle_make="Ather", vehicle_model="450X", vehicle_firmware="5.1")
    with acting_as(workshop.technician):
        flag = await flags.open_flag(card.id, FlagKind.modified_in_use)
        assert flag is not None
        await proposals.propose(flag, content_of(card).model_copy(update={"root_cause": "Another board"}), "as built")
    with acting_as(workshop.expert):
        await lifecycle.deprecate(await workshop.fresh(card), "redesigned")
    await workshop.settle()


async def _incidents(workshop: Workshop) -> None:
    """One whose card is approved, and one whose draft is merged into an approved card."""
    now = clock.now()
    with acting_as(workshop.expert):
        drafts = [
            await cards.create(CardContent(title=title, subsystem_category="bms", failure_mode="erratic"))
            for title in ("Relay sticks", "Relay sticks again")
        ]
    with acting_as(system("test")):
        for draft in drafts:
            incident = Incident(
                title=draft.title,
                card_id=draft.id,
                ticket_count=1,
                facts=SharedFacts(first_ticket_at=now, last_ticket_at=now),
                statistic=IncidentStatistic(
                    vehicles=1,
                    window_days=30,
                    earlier_vehicles=0,
                    baseline_days=365,
                    expected=0.1,
                    chance=0.01,
                    scope="",
                    explanation="",
                ),
            )
            await incident.insert()
        waiting = await workshop.ticket("Relay sticks")
        await IncidentTicket(id=waiting.id, incident_id=incident.id).insert()
    with acting_as(workshop.second_expert):
        approved = await lifecycle.approve(await lifecycle.submit(drafts[0]))
        await merging.merge(drafts[1], approved.id, reason="the same")
    await workshop.settle()
