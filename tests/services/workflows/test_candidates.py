"""Complaints and observations fill the list of candidates; what an expert accepts is matched at once."""

import pytest

from app.security import acting_as
from matching import Case
from models.symptom import SymptomContent
from services.diagnosis import matches
from services.knowledge import candidates
from services.knowledge.candidates import MIN_VOICES
from tests.services.workflows.conftest import Workshop

pytestmark = pytest.mark.usefixtures("seeing")


async def shown() -> list[str]:
    return [one.text for one in (await candidates.list_candidates(matches.serving().wordings)).items]


async def test_a_recurring_phrase_is_gathered_accepted_and_known_at_once(workshop: Workshop):
    for number in range(MIN_VOICES):
        await workshop.ticket(
            "Charging port squeals", description="The charging latch jams.", customer_name=f"Customer {number}"
        )
    await workshop.settle()
    assert set(await shown()) == {"charging port squeals", "charging latch jams"}
    [found] = [
        one.candidate
        for one in (await candidates.list_candidates(matches.serving().wordings)).items
        if "latch" in one.text
    ]
    content = SymptomContent(symptom_code="SYM_CHRG_009", name="Charging latch jams", category="charging_port")
    with acting_as(workshop.expert):
        await candidates.accept(found, content)
    await matches.serving().caught_up()
    assert matches.serving().matcher.symptoms(Case(text="my charging latch jams again")) == ("SYM_CHRG_009",)
    assert not any("latch" in text for text in await shown())


async def test_observations_count_for_the_same_ticket_once(workshop: Workshop):
    for number in range(MIN_VOICES):
        ticket = await workshop.ticket("Does not work", customer_name=f"Customer {number}")
        for _ in range(2):
            await workshop.action(ticket, observations=["Charging latch jams"])
    await workshop.settle()
    [one] = (await candidates.list_candidates(matches.serving().wordings)).items
    assert (one.text, one.candidate.tickets) == ("charging latch jams", MIN_VOICES)
