"""The pages on which experts and admins look after the knowledge, in a browser."""

from datetime import timedelta

import pytest
from playwright.async_api import expect

from app import clock
from app.ids import id_at
from app.security import Role, acting_as, system
from models.failure_card import ConfidenceChange
from models.governance import FlagStatus
from models.ticket import Ticket
from services.knowledge import cards, flags, symptoms
from services.knowledge.access import load_visible
from services.knowledge.content import content_of
from services.workflows.patterns import incidents
from tests.routes.portal import care
from tests.routes.portal.support import Portal, look
from tests.services.diagnosis.test_calibration import decided
from tests.services.knowledge.samples import stored_card

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_expert_looks_after_the_knowledge(portal: Portal):
    """From the overview: a card is confirmed, a proposal accepted, a flag dismissed, a phrase taken up."""
    technician, expert = await portal.person(Role.technician), await portal.person(Role.expert)
    old, wrong = await care.approved(title="BMS board loses a cell"), await care.approved(title="Charger stops early")
    await care.proposed(wrong, technician, root_cause="The fuse of the balancing board is blown", severity="high")
    dismissed = await care.flagged(old, technician, care.HOSTILE)
    await care.due(old)
    await care.phrase()
    page = await portal.browser_of(expert)
    await page.goto("/reviews")
    await page.get_by_role("link", name="Health").click()
    await look(page, "health")
    await page.get_by_role("link", name="long not reviewed").click()
    await look(page, "due")
    await page.get_by_role("link", name=old.title).click()
    await expect(page.get_by_text("neither reviewed nor confirmed in use")).to_be_visible()
    await look(page, "due-card")
    await page.get_by_role("button", name="It is still right").click()
    await expect(page.get_by_role("heading", name="Cards due for review")).to_be_visible()

    await page.get_by_role("link", name="Proposed edits").click()
    await look(page, "proposals")
    await page.get_by_role("link", name=wrong.title).click()
    await expect(page.locator("ins").filter(has_text="The fuse of the balancing board")).to_be_visible()
    await page.get_by_role("button", name="Decline").click()
    await expect(page.locator("#reason-error")).to_have_text("is needed")
    await look(page, "proposal")
    await page.get_by_role("button", name="Accept").click()
    await expect(page.get_by_text("No proposal is in this state.")).to_be_visible()
    with portal.as_actor(expert):
        after = await load_visible(wrong.id)
    assert (after.version, after.root_cause, after.open_flags) == (2, "The fuse of the balancing board is blown", 0)

    await page.get_by_role("link", name="Flags").click()
    await expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible()
    await look(page, "flags")
    await page.get_by_role("link", name=old.title).click()
    await look(page, "flag")
    await page.get_by_label("Version that put it right").fill("1")
    await page.get_by_role("button", name="Settle as put right").click()
    await expect(page.locator("#version-error")).to_contain_text("must be between 2 and")
    await page.get_by_label("Reason").fill("R14 is under the cover")
    await page.get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_text("No flag is in this state.")).to_be_visible()
    with portal.as_actor(expert):
        assert (await flags.get(dismissed.id)).status is FlagStatus.dismissed

    await page.get_by_role("link", name="New phrases").click()
    await look(page, "phrases")
    await page.get_by_role("link", name="brake squeals").click()
    await page.get_by_label("Code").fill("squeal")
    await page.get_by_label("Description").fill("Heard when stopping")
    await page.get_by_role("button", name="Make it a symptom").click()
    await expect(page.locator("#symptom_code-error")).to_be_visible()
    await expect(page.get_by_label("Description")).to_have_value("Heard when stopping")
    await look(page, "phrase")
    await page.get_by_label("Code").fill("SYM_BRAK_009")
    await page.get_by_role("button", name="Make it a symptom").click()
    await expect(page.get_by_text("The library knows what people say.")).to_be_visible()
    with portal.as_actor(expert):
        assert (await symptoms.get("SYM_BRAK_009")).synonyms == []


async def test_an_expert_chooses_where_card_and_proposal_disagree(portal: Portal):
    technician, expert = await portal.person(Role.technician), await portal.person(Role.expert)
    card = await care.approved(title="Horn silent since the rain")
    await care.proposed(card, technician, root_cause="The relay is stuck", severity="critical")
    with portal.as_actor(expert):
        card = await load_visible(card.id)
        wet = content_of(card).model_copy(update={"root_cause": "The plug is wet"})
        await cards.edit(card, wet, edition=card.edition)
    page = await portal.browser_of(expert)
    await page.goto("/health/proposals")
    await page.get_by_role("link", name=card.title).click()
    await page.get_by_role("button", name="Accept").click()
    await expect(page.locator("#root_cause-error")).to_have_text("Please choose one of both.")
    await look(page, "proposal-both")
    await page.get_by_label("As the card is now").check()
    await page.get_by_role("button", name="Accept").click()
    await expect(page.get_by_role("heading", name="Proposed edits")).to_be_visible()
    with portal.as_actor(expert):
        after = await load_visible(card.id)
    assert (after.root_cause, after.severity) == ("The plug is wet", "critical")


async def test_an_expert_judges_an_incident_without_a_script(portal: Portal):
    expert = await portal.person(Role.expert)
    made = await care.incident()
    page = await portal.browser_of(expert, java_script_enabled=False)
    await page.goto("/health/incidents")
    await page.get_by_role("link", name=made.title).click()
    await expect(page.get_by_text("3 vehicles within 14 days")).to_be_visible()
    await page.get_by_role("button", name="Does not belong here Speed drops in rain (1)").click()
    await expect(page.get_by_text("Speed drops in rain (1)")).to_have_count(0)
    seen = await portal.browser_of(expert)
    await seen.goto("/health/incidents")
    await look(seen, "incidents")
    await seen.goto(page.url)
    await look(seen, "incident")
    await page.get_by_label("Reason").fill("Rain of one week")
    await page.get_by_role("button", name="Dismiss").click()
    await page.get_by_role("link", name=made.title.split(":")[0]).click()
    await expect(page.get_by_text("Rain of one week")).to_be_visible()
    with portal.as_actor(expert):
        assert (await incidents.get(made.id)).ticket_count == 2


async def test_an_admin_reads_how_far_to_trust_and_goes_back_to_the_prior(portal: Portal):
    now = clock.now()
    steps = [(80, 0.3, 0.55), (50, 0.55, 0.72), (20, 0.72, 0.91)]
    history = [
        ConfidenceChange(timestamp=now - timedelta(days=ago), previous_score=a, new_score=b, change_reason="repair")
        for ago, a, b in steps
    ]
    with acting_as(system("test")):
        known = [
            await stored_card(
                title=f"Known failure {n}",
                approved_at=now - timedelta(days=20 * n),
                confidence_score=0.91,
                confidence_history=history,
            )
            for n in range(1, 6)
        ]
        for n in range(12):
            await decided(known[n % 2].id if n % 3 else None, {known[0].id: 0.7, known[1].id: 0.2}, none=0.15)
        for n in range(60):
            at = now - timedelta(days=6 * n)
            card_id = known[0].id if n % 3 else None
            made = {"created_at": at, "vehicle_make": ("Ola", "TVS")[n % 2], "selected_failure_card": card_id}
            await Ticket(id=id_at("ticket", at), title="Horn", status="closed", resolution_count=1, **made).insert()
    await care.trainings()
    page = await portal.browser_of(await portal.person(Role.admin))
    await page.goto("/confidence?days=90")
    await expect(page.get_by_role("cell", name="0.91").first).to_be_visible()
    await look(page, "confidence")
    await page.get_by_role("link", name="Promises kept").click()
    await expect(page.get_by_text("Too little to judge by: 12 tickets, 50 are needed.")).to_be_visible()
    await expect(page.get_by_text("n = 12.").first).to_be_visible()
    await look(page, "calibration")
    await page.get_by_role("link", name="Coverage").click()
    await expect(page.get_by_role("cell", name="Ola")).to_be_visible()
    await look(page, "coverage")
    await page.get_by_role("link", name="Match models").click()
    await expect(page.get_by_text("worse than the model in service")).to_be_visible()
    await look(page, "models")
    await page.get_by_role("button", name="Put into service").click()
    prior = page.locator("section").filter(has_text="The shipped prior. It serves")
    await expect(prior.get_by_text("serves", exact=True)).to_be_visible()
    async with page.expect_download() as caught:
        await page.get_by_role("link", name="Download CSV").click()
    assert (await caught.value).suggested_filename == "models.csv"


async def test_credit_is_for_its_own_eyes(portal: Portal):
    technician = await portal.person(Role.technician)
    with portal.as_actor(technician):
        await cards.create(care.a_card(title="Throttle sticks"))
    page = await portal.browser_of(technician)
    await page.goto("/account")
    await page.get_by_role("link", name="What your knowledge did").click()
    await expect(page.locator(".figures div").filter(has_text="Cards written").locator("dd").first).to_have_text("1")
    await look(page, "credit")
