"""An expert finds that a draft describes what is known already, and makes one card of both."""

import re

import pytest
from playwright.async_api import expect

from app.security import Role
from models.account import User
from models.enums import FailureCardStatus
from models.failure_card import CardContent, FailureCard
from services.knowledge import cards, lifecycle
from services.knowledge.access import load_visible
from services.knowledge.content import content_of
from tests.routes.portal.support import Portal, look

pytestmark = pytest.mark.asyncio(loop_scope="module")


def content(title: str, **fields: object) -> CardContent:
    return CardContent.model_validate(
        {
            "title": title,
            "subsystem_category": "charging_port",
            "failure_mode": "leakage",
            "symptom_text": "The latch sensor reads open though the plug is locked, charging does not begin.",
            "root_cause": "Water ingress through a cracked gasket corrodes the latch sensor",
            "error_codes": ["P0D58"],
            "vehicle_models": [{"make": "Ather", "model": "450X", "year_from": 2021}],
            "resolution_steps": [{"step_number": 1, "action": "Replace the latch sensor"}],
            **fields,
        }
    )


async def written(portal: Portal, author: User, card: CardContent, *, approved: bool = False) -> FailureCard:
    with portal.as_actor(author):
        stored = await lifecycle.submit(await cards.create(card))
    if approved:
        with portal.as_actor(await portal.person(Role.expert)):
            stored = await lifecycle.approve(stored)
    return stored


async def pair(portal: Portal, word: str) -> tuple[FailureCard, FailureCard]:
    """A known card and a draft that says the same of other vehicles; `word` tells the tests' cards apart."""
    technician = await portal.person(Role.technician)
    known = await written(portal, technician, content(f"{word} latch sensor corroded by water"), approved=True)
    other = {
        "error_codes": ["P0D58", "P0D59"],
        "root_cause": "Cracked gasket lets water in, the latch sensor corrodes",
        "vehicle_models": [{"make": "Ola", "model": "S1 Pro"}],
        "severity": "high",
        "description": "Seen on three scooters after the monsoon.",
    }
    return known, await written(portal, technician, content(f"{word} latch sensor wet", **other))


async def test_from_the_review_to_one_card(portal: Portal):
    known, draft = await pair(portal, "Charging port")
    page = await portal.browser_of(await portal.person(Role.expert))
    await page.goto("/reviews")
    await page.get_by_role("link", name=draft.title).click()
    near = page.locator("article", has_text=known.title)
    await expect(near.locator(".odds")).to_have_text(re.compile(r"\d\d\s%"))
    await expect(near).to_contain_text("same codes: P0D58")
    await near.get_by_text("Where they differ").click()
    await expect(near.get_by_role("row", name="error codes")).to_contain_text("P0D59")
    await expect(near.get_by_role("row", name="vehicle models")).to_contain_text("Ather 450X 2021-")
    await look(page, "review-near-duplicates")
    await near.get_by_role("link", name="Merge into this one").click()
    await expect(page.get_by_role("heading", name="Merge cards")).to_be_visible()
    await expect(page.get_by_role("checkbox", name="P0D58 (on both)")).to_be_checked()
    await expect(page.get_by_role("checkbox", name="Ola S1 Pro")).to_be_checked()
    await expect(page.get_by_role("radio", name="medium")).to_be_checked()
    await page.get_by_role("group", name="severity").get_by_role("radio", name="high").check()
    await page.get_by_role("group", name="root cause").get_by_role("checkbox").nth(1).check()
    await look(page, "merge")
    await page.get_by_role("button", name="Merge").click()
    await expect(page.get_by_label("Why is it one failure?")).to_be_focused()
    await page.get_by_label("Why is it one failure?").fill("The same gasket, two makes")
    await page.get_by_role("button", name="Merge").click()
    await expect(page.get_by_role("heading", name=known.title)).to_be_visible()
    await expect(page.get_by_text("The same gasket, two makes")).to_be_visible()
    with portal.as_actor(await portal.person(Role.expert)):
        kept, gone = await load_visible(known.id), await load_visible(draft.id)
    assert (kept.version, kept.severity, kept.error_codes) == (2, "high", ["P0D58", "P0D59"])
    assert [vehicle.make for vehicle in kept.vehicle_models] == ["Ather", "Ola"]
    assert kept.root_cause.count("gasket") == 2
    assert kept.description == "Seen on three scooters after the monsoon."
    assert kept.title == known.title
    assert (gone.status, gone.merged_into) == (FailureCardStatus.deprecated, known.id)
    await look(page, "card-merged-from")
    await page.get_by_role("link", name=draft.id).click()
    await expect(page.get_by_text("Merged into another card")).to_be_visible()
    await page.get_by_role("link", name="See that card").click()
    await expect(page).to_have_url(re.compile(known.id))


async def test_without_a_script_with_faults_beside_the_fields(portal: Portal):
    known, draft = await pair(portal, "Rear flap")
    page = await portal.browser_of(await portal.person(Role.expert), java_script_enabled=False)
    await page.goto(f"/cards/{draft.id}")
    await page.get_by_role("link", name="Merge cards").click()
    await page.get_by_label("Merge into which card?").fill(draft.id)
    await page.get_by_role("button", name="Find").click()
    await expect(page.locator("#into-error")).to_have_text("must be another card")
    await page.get_by_label("Merge into which card?").fill(known.id)
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("checkbox", name="Ola S1 Pro").uncheck()
    await page.get_by_label("Why is it one failure?").fill(" ")
    await page.get_by_role("button", name="Merge").click()
    await expect(page.locator("#reason-error")).to_have_text("is needed")
    await expect(page.get_by_role("checkbox", name="Ola S1 Pro")).not_to_be_checked()
    await page.get_by_label("Why is it one failure?").fill("one gasket")
    with portal.as_actor(await portal.person(Role.expert)):
        changed = content_of(known).model_copy(update={"error_codes": ["P0D60"]})
        await cards.edit(known, changed, edition=known.edition)
    await page.get_by_role("button", name="Merge").click()
    await expect(page.get_by_role("alert")).to_contain_text("One of both cards was changed meanwhile")
    await expect(page.get_by_role("checkbox", name="P0D60")).to_be_checked()
    await expect(page.get_by_label("Why is it one failure?")).to_have_value("one gasket")
    await page.get_by_role("checkbox", name="P0D59").uncheck()
    await page.get_by_role("button", name="Merge").click()
    await expect(page.get_by_role("heading", name=known.title)).to_be_visible()
    with portal.as_actor(await portal.person(Role.expert)):
        assert (await load_visible(known.id)).error_codes == ["P0D60", "P0D58"]


async def test_the_author_sees_what_is_known_and_leaves_merging_to_experts(portal: Portal):
    technician = await portal.person(Role.technician)
    known = await written(portal, technician, content("Side flap latch sensor corroded by water"), approved=True)
    with portal.as_actor(technician):
        draft = await cards.create(content("Side flap latch sensor wet"))
    page = await portal.browser_of(technician)
    await page.goto(f"/cards/{draft.id}")
    await expect(page.get_by_role("link", name=known.title)).to_be_visible()
    await expect(page.get_by_role("link", name="Merge")).to_have_count(0)
    await page.goto(f"/cards/{draft.id}/merge?into={known.id}")
    await expect(page.get_by_text("not for your role")).to_be_visible()
    await page.goto(f"/cards/{known.id}")
    await expect(page.get_by_role("heading", name="Cards that may describe")).to_have_count(0)


async def test_an_approved_card_is_not_hidden_behind_a_draft(portal: Portal):
    known, draft = await pair(portal, "Front flap")
    page = await portal.browser_of(await portal.person(Role.expert))
    await page.goto(f"/cards/{known.id}/merge?into={draft.id}")
    await expect(page.get_by_role("alert")).to_contain_text("repairs would lose a card")
    await look(page, "merge-into")
