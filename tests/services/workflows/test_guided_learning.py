"""What resolved tickets teach guided diagnosis, and what a revisit takes back."""

from typing import Any

import pytest

from app.security import acting_as, system
from models.diagnosis import CheckLikelihood, CheckOutcome
from models.failure_card import FailureCard
from models.technician_action import AttemptedDiagnostic
from models.ticket import Ticket
from services.diagnosis.guided import experience
from services.diagnosis.guided.identity import identity
from services.diagnosis.guided.likelihoods import ANY_CARD, Counts, table
from services.diagnosis.guided.problem import pose
from services.knowledge import merging
from tests.services.diagnosis.guided_samples import leaf
from tests.services.workflows.conftest import Workshop

ABOVE = "Is the resting spread between the cell groups above 50 mV?"
VEHICLE = {"vehicle_make": "Ather", "vehicle_model": "450X", "vehicle_year": 2023}
VARIANT = "ather|450x|2023"


@pytest.fixture
async def cards(workshop: Workshop) -> tuple[FailureCard, FailureCard]:
    """One asks for the spread to be above, the other for it to be below."""
    below = ABOVE.replace("above", "below")
    return (
        await workshop.approved_card("Weak cell group", diagnostic_tree=leaf(ABOVE)),
        await workshop.approved_card("Charger ends early", diagnostic_tree=leaf(below)),
    )


def asked(card: FailureCard, answer: bool | None) -> AttemptedDiagnostic:
    return AttemptedDiagnostic(step_id="n1", card_id=card.id, check_performed="Read the groups", answer=answer)


async def repaired(workshop: Workshop, used: FailureCard, *checks: AttemptedDiagnostic, **vehicle: Any) -> Ticket:
    ticket = await workshop.ticket(**(VEHICLE | vehicle))
    await workshop.action(ticket, failure_card_used=used.id, attempted_diagnostics=list(checks))
    resolved = await workshop.resolve(ticket)
    await workshop.settle()
    return resolved


def rounded(counts: Counts) -> tuple[float, float]:
    return round(counts.yes, 3), round(counts.no, 3)


async def learnt(card: FailureCard | None, variant: str = VARIANT) -> tuple[float, float]:
    """(yes, no) for the shared test, whose own sense is "below"."""
    card_id = card.id if card else ANY_CARD
    with acting_as(system("test")):
        known = await experience.learnt([card_id], variant)
    [counts] = [counts for (of_card, _), counts in known.items() if of_card == card_id]
    return rounded(counts)


async def test_answers_count_for_the_cause_in_the_tests_own_sense(workshop: Workshop, cards):
    weak, charger = cards

    await repaired(workshop, weak, asked(weak, True))
    await repaired(workshop, charger, asked(weak, False))

    test_id, _ = identity(weak.diagnostic_tree.nodes[0])
    with acting_as(system("test")):
        ledger = await CheckOutcome.find().sort("_id").to_list()
    assert [(row.test_id, row.card_id, row.said_yes, row.variant) for row in ledger] == [
        (test_id, weak.id, False, VARIANT),
        (test_id, charger.id, True, VARIANT),
    ]
    assert await learnt(weak) == (0, 1)
    assert await learnt(charger) == (1, 0)
    assert await learnt(None) == (1, 1)


async def test_other_variants_lend_less_than_they_have(workshop: Workshop, cards):
    weak, _ = cards
    for _ in range(3):
        await repaired(workshop, weak, asked(weak, True))

    assert await learnt(weak) == (0, 3)
    yes, no = await learnt(weak, "tata|nexon ev|2024")
    assert yes == 0
    assert no == pytest.approx(3 * 10 / 13, abs=0.001)


async def test_a_test_counts_once_however_often_it_was_asked(workshop: Workshop, cards):
    weak, charger = cards

    await repaired(workshop, weak, asked(weak, False), asked(charger, False), asked(charger, None))

    # The last answer: not below.
    assert await learnt(weak) == (0, 1)


async def test_a_revisit_takes_it_back(workshop: Workshop, cards):
    weak, _ = cards
    ticket = await repaired(workshop, weak, asked(weak, True))

    await workshop.reopen(ticket)
    await workshop.settle()

    assert await learnt(weak) == (0, 0)
    with acting_as(system("test")):
        [row] = await CheckOutcome.find().to_list()
        assert row.taken_back_at is not None
        assert {one.outcomes for one in await CheckLikelihood.find().to_list()} == {0}


@pytest.mark.parametrize("resolution", [{"resolution_successful": False}, {"customer_satisfaction": 1}])
async def test_a_repair_that_failed_teaches_nothing(workshop: Workshop, cards, resolution: dict[str, Any]):
    weak, _ = cards
    ticket = await workshop.ticket(**VEHICLE)
    await workshop.action(ticket, failure_card_used=weak.id, attempted_diagnostics=[asked(weak, True)])
    await workshop.resolve(ticket, **resolution)
    await workshop.settle()

    with acting_as(system("test")):
        assert await CheckOutcome.count() == 0


async def test_of_two_causes_neither_is_taught(workshop: Workshop, cards):
    weak, charger = cards
    ticket = await workshop.ticket(**VEHICLE)
    for card in cards:
        await workshop.action(ticket, failure_card_used=card.id, attempted_diagnostics=[asked(weak, True)])
    await workshop.resolve(ticket)
    await workshop.settle()

    with acting_as(system("test")):
        assert await CheckOutcome.count() == 0
    assert charger.id != weak.id


async def test_what_a_merged_card_taught_counts_for_the_survivor(workshop: Workshop, cards):
    weak, charger = cards
    ticket = await repaired(workshop, weak, asked(weak, True))
    await repaired(workshop, charger, asked(weak, False))
    with acting_as(workshop.expert):
        kept = await merging.merge(await workshop.fresh(weak), charger.id, reason="one failure")
        problem = await pose({kept.id: 0.6}, 0.4, variant=VARIANT, site_id=None)
        known = await experience.learnt([kept.id], VARIANT, merged={kept.id: kept.merged_from})
        alone = await experience.learnt([kept.id], VARIANT)
    (test_id,) = {test for _, test in known}
    assert rounded(known[kept.id, test_id]) == (1, 1)
    assert rounded(alone[kept.id, test_id]) == (1, 0)
    planner = problem.planner
    assert planner.yes[0, 0] == pytest.approx(table(planner.catalogue, known)[0, 0])
    assert planner.yes[0, 0] < table(planner.catalogue, alone)[0, 0]
    await workshop.reopen(ticket)
    await workshop.settle()
    with acting_as(system("test")):
        left = await experience.learnt([kept.id], VARIANT, merged={kept.id: kept.merged_from})
    assert rounded(left[kept.id, test_id]) == (1, 0), "taken back where it had been counted"
    await repaired(workshop, weak, asked(weak, True))
    assert await learnt(charger) == (1, 1), "a repair by its former name counts for it"
