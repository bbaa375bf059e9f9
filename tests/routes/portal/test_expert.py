"""An expert's queue: a draft that a repair left behind is read, corrected, and decided."""

import pytest
from playwright.async_api import expect

from app.security import Role
from models.account import User
from models.enums import ResolutionOutcome
from models.failure_card import FailureCard
from models.technician_action import ActionContent
from models.ticket import TicketContent
from services.knowledge import cards, reviews
from services.knowledge.access import load_visible
from services.knowledge.content import content_of
from services.repairs import actions, tickets
from tests.routes.portal.support import Portal, look

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def discovered(portal: Portal, technician: User, title: str) -> FailureCard:
    """The draft that follows when a technician found something new."""
    with portal.as_actor(technician):
        content = TicketContent(title=title, vehicle_make="Ola", vehicle_model="S1", vehicle_year=2024)
        ticket = await tickets.create(content)
        await actions.record(
            ActionContent(
                ticket_id=ticket.id,
                diagnostic_steps_performed=["Water stands in the speed sensor's plug"],
                resolution_steps_followed=["Dried and greased the plug"],
                resolution_outcome=ResolutionOutcome.success,
                new_failure_discovered=True,
                new_failure_description=f"{title}: speed jumps to zero in rain",
                new_failure_root_cause="The plug's seal is missing, due to a wrong spare part",
                attempted_diagnostics=[
                    {"check_performed": "Open the plug", "result": "water inside", "confirmed": True}
                ],
                new_failure_resolution="Fit the seal, grease the plug",
            )
        )
        await portal.api.app.state.service.processor.process_pending(50)
    with portal.as_actor(await portal.person(Role.expert)):
        found = (await reviews.list_reviews()).items
        cards_found = [await load_visible(one.card_id) for one in found]
        return next(card for card in cards_found if card.source_ticket_id == ticket.id)


async def test_corrects_and_approves_a_discovered_draft(portal: Portal):
    technician = await portal.person(Role.technician)
    card = await discovered(portal, technician, "Speedometer drops out")
    page = await portal.browser_of(await portal.person(Role.expert))
    await page.goto("/")
    await look(page, "reviews")
    await page.get_by_role("link", name=card.title).click()
    await expect(page.get_by_text("Water stands in the speed sensor's plug").first).to_be_visible()
    await page.get_by_role("button", name="Claim").click()
    await expect(page.get_by_role("button", name="Release")).to_be_visible()
    suggestions = page.locator("#suggestions")
    await suggestions.get_by_text("Sources").click()
    await expect(suggestions.locator("blockquote")).to_contain_text("due to a wrong spare part")
    await look(page, "review")
    await suggestions.get_by_role("button", name="Take over A wrong spare part").click()
    await expect(suggestions.get_by_text("taken over")).to_be_visible()
    await page.get_by_role("link", name="Edit").click()
    await expect(page.get_by_label("Other possible causes")).to_have_value("A wrong spare part")
    await page.get_by_role("button", name="Remove question").click()
    await expect(page.get_by_role("button", name="Remove question")).to_have_count(0)
    await page.get_by_label("Title").fill("Wet speed sensor plug")
    await page.get_by_role("button", name="Add a question").click()
    await page.get_by_label("Question", exact=True).fill("Is the plug wet?")
    await page.get_by_label("What to do").fill("Unplug the sensor and look")
    await page.get_by_label("Confirms the cause").fill("Seal missing")
    await page.get_by_label("If no, go to").fill("q2")
    await page.get_by_role("button", name="Check and draw").click()
    await expect(page.get_by_text("names no node of this tree")).to_be_visible()
    await page.get_by_role("button", name="Add a question").click()
    await page.get_by_label("Question", exact=True).nth(1).fill("Does the signal jump?")
    await page.get_by_label("What to do").nth(1).fill("Watch the signal while the wheel turns")
    await page.get_by_label("Confirms the cause").nth(1).fill("Sensor worn")
    await page.get_by_label("Hands over to").nth(1).fill("Controller")
    await page.get_by_role("button", name="Check and draw").click()
    await expect(page.locator("svg.tree")).to_contain_text("Seal missing")
    await look(page, "editor")
    await page.get_by_label("What did you change?").fill("Named the cause, wrote the diagnosis")
    await page.get_by_role("button", name="Save").first.click()
    await expect(page.get_by_role("heading", name="Wet speed sensor plug")).to_be_visible()
    await page.get_by_role("link", name="What changed").click()
    await expect(page.locator("ins").first).to_contain_text("Wet")
    await look(page, "compare")
    await page.go_back()
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("heading", name="Review queue")).to_be_visible()
    with portal.as_actor(technician):
        assert (await load_visible(card.id)).status == "approved"
    await page.goto(f"/cards/{card.id}")
    await expect(page.get_by_text("Named the cause, wrote the diagnosis")).to_be_visible()
    await look(page, "card")
    for name in ("versions", "suggestions"):
        await page.goto(f"/cards/{card.id}/{name}")
        await look(page, name)
    await page.goto(f"/cards/{card.id}")
    with portal.as_actor(technician):
        await portal.api.app.state.service.processor.process_pending(50)
    await page.get_by_role("link", name="What it is tied to").click()
    await expect(page.locator("svg.graph")).to_contain_text("Ola S1")
    await look(page, "graph")
    # By the keyboard from one node to the next.
    await page.get_by_role("region", name="Drawn").focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda address: card.id not in address)
    await page.get_by_role("link", name="Wet speed sensor plug").last.click()
    await page.get_by_role("link", name="Open the card").click()
    await expect(page.get_by_role("heading", name="Wet speed sensor plug")).to_be_visible()


async def test_two_experts_do_not_collide(portal: Portal):
    technician = await portal.person(Role.technician)
    card = await discovered(portal, technician, "Horn sounds by itself")
    first, second = await portal.person(Role.expert), await portal.person(Role.expert)
    page = await portal.browser_of(first)
    await page.goto("/reviews")
    await page.get_by_role("link", name=card.title).click()
    other = await portal.browser_of(second)
    await other.goto(page.url)
    await page.get_by_role("button", name="Claim").click()
    await expect(page.get_by_role("button", name="Release")).to_be_visible()
    await expect(other.get_by_role("link", name="Edit")).to_be_visible()
    await other.get_by_label("Reason").fill("Not enough measured")
    await other.get_by_role("button", name="Reject").click()
    await expect(other.get_by_role("alert")).to_have_text("Nothing was done, because somebody else has claimed it.")
    await expect(other.get_by_text(f"{first.name} is reviewing this")).to_be_visible()
    await expect(other.get_by_role("link", name="Edit")).to_have_count(0)
    await expect(other.get_by_role("heading", name="Suggestions")).to_have_count(0)
    await page.get_by_role("button", name="Reject").click()
    await expect(page.locator("#reason-error")).to_contain_text("is needed to reject")
    await page.get_by_label("Reason").fill("Measure the switch first")
    await page.get_by_role("button", name="Reject").click()
    await expect(page.get_by_role("heading", name="Review queue")).to_be_visible()
    with portal.as_actor(second):
        review = (await reviews.list_reviews(status="rejected", card_id=card.id)).items[0]
    assert review.decision_reason == "Measure the switch first"


async def test_shows_both_versions_when_a_card_changed_meanwhile(portal: Portal):
    technician = await portal.person(Role.technician)
    card = await discovered(portal, technician, "Brake light stays on")
    mine, colleague = await portal.person(Role.expert), await portal.person(Role.expert)
    page = await portal.browser_of(mine)
    await page.goto(f"/cards/{card.id}/edit")
    await page.get_by_label("Title").fill("Brake switch sticks")
    with portal.as_actor(colleague):
        theirs = content_of(card).model_copy(update={"title": "Brake lever does not return"})
        await cards.edit(card, theirs, edition=card.edition)
    await page.get_by_role("button", name="Save").first.click()
    await expect(page.get_by_role("alert")).to_contain_text(f"{colleague.name} saved this card")
    await expect(page.locator("del")).to_contain_text("Brake lever does not return")
    await expect(page.locator("ins")).to_contain_text("Brake switch sticks")
    await look(page, "editor-both")
    await page.get_by_role("button", name="Save").first.click()
    await expect(page.get_by_role("heading", name="Brake switch sticks")).to_be_visible()


async def test_searches_while_typing_and_without_a_script(portal: Portal):
    technician = await portal.person(Role.technician)
    await discovered(portal, technician, "Parking pawl rattles downhill")
    page = await portal.browser_of(technician)
    await page.goto("/knowledge")
    await look(page, "knowledge")
    await page.get_by_label("Search").press_sequentially("pawl rattles")
    await expect(page.locator("#results")).to_contain_text("Parking pawl rattles")
    await page.wait_for_url("**q=pawl+rattles*")
    await page.reload()
    await expect(page.get_by_label("Search")).to_have_value("pawl rattles")
    plain = await portal.browser_of(technician, java_script_enabled=False)
    await plain.goto("/knowledge")
    await plain.get_by_label("Search").fill("pawl")
    await plain.keyboard.press("Enter")
    await expect(plain.locator("#results")).to_contain_text("Parking pawl rattles")
