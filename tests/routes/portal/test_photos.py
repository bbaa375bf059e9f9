"""Photos on pages: taken in the workshop and by the customer, shown small, opened whole, removed."""

import asyncio

import pytest
from playwright.async_api import FilePayload, Page, expect

from app.database import transaction
from app.security import Role
from models.ticket import Ticket, TicketContent
from services.repairs import actions, photos, tickets
from services.repairs.visibility import load_visible
from tests import pictures as samples
from tests.routes.portal.support import Portal, look
from tests.routes.portal.test_first_load import BUDGET_BYTES, LOADED

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOADED_SECONDS = 30


def file(content: bytes, name: str = "IMG_2041.jpg") -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": content}


async def drawn(page: Page) -> list[int]:
    """The widths of the pictures that the browser has decoded."""
    async with asyncio.timeout(LOADED_SECONDS):
        # `wait_for_function` evaluates text within the page, which the page's policy forbids.
        while not await page.evaluate("[...document.images].every((one) => one.complete)"):
            await page.wait_for_timeout(50)
    return await page.evaluate("[...document.images].map((one) => one.naturalWidth)")


async def shared_ticket(portal: Portal) -> Ticket:
    """A customer's ticket that the technicians of the site work."""
    with portal.as_actor(await portal.person(Role.admin)):
        content = TicketContent(title="A lamp is on", vehicle_make="Ather", vehicle_model="450X")
        return await tickets.create(content, site_id=portal.api.site.id, organisation_id=portal.api.organisation.id)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
async def test_a_customer_sends_the_dashboard_with_the_ticket(portal: Portal, script: bool):
    page = await portal.browser_of(await portal.person(Role.fleet_customer), java_script_enabled=script)
    await page.goto("/tickets/new")
    await page.get_by_label("What is wrong?").fill(f"Turtle lamp, script {script}")
    choose = page.get_by_label("Photo of the dashboard")
    await choose.set_input_files([file(samples.SVG, "lamp.svg.jpg")])
    await page.get_by_role("button", name="Submit ticket").click()
    await expect(page.locator("#photos-error")).to_contain_text("lamp.svg.jpg is not a picture")
    await expect(page.get_by_label("What is wrong?")).to_have_value(f"Turtle lamp, script {script}")
    if script:
        await look(page, "ticket-new-photo-refused")
    await choose.set_input_files([file(samples.jpeg(samples.colours(800, 600), orientation=6))])
    await page.get_by_role("button", name="Submit ticket").click()
    await expect(page.get_by_role("heading", name=f"Turtle lamp, script {script}")).to_be_visible()
    await expect(page.get_by_role("link", name="Photo by")).to_have_count(1)
    await page.get_by_role("link", name="Photo by").click()
    await page.wait_for_url("**/photos/pho_*")


async def test_the_workshop_adds_photos_and_keeps_some_to_itself(portal: Portal):
    ticket = await shared_ticket(portal)
    technician, customer = await portal.person(Role.technician), await portal.person(Role.fleet_customer)
    page = await portal.browser_of(technician, width="phone", has_touch=True, is_mobile=True)
    await page.goto(f"/tickets/{ticket.id}")
    await expect(page.get_by_text("No photos yet")).to_be_visible()
    await page.get_by_text("Add photos").click()
    assert await page.get_by_label("Take a photo").get_attribute("capture") == "environment"
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.locator("#photos-error")).to_contain_text("is needed")
    await look(page, "ticket-photos-adding")
    await page.get_by_label("Photos", exact=True).set_input_files(
        [file(samples.jpeg(samples.noise(640, 480, n)), f"{n}.jpg") for n in range(2)]
    )
    await page.get_by_label("What do they show?").fill("Connector, <b>green</b> with age")
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_role("link", name="Connector, <b>green</b>")).to_have_count(2)
    await page.get_by_text("Add photos").click()
    await page.get_by_label("Take a photo").set_input_files([file(samples.png(samples.colours(300, 500)))])
    await page.get_by_label("What do they show?").fill("Seal of the warranty broken")
    await page.get_by_label("Only for the workshop").check()
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_role("link", name="Seal of the warranty")).to_be_visible()
    assert await drawn(page) == [192, 320, 320]
    await look(page, "ticket-photos")

    theirs = await portal.browser_of(customer)
    await theirs.goto(f"/tickets/{ticket.id}")
    await expect(theirs.get_by_role("link", name="Connector")).to_have_count(2)
    await expect(theirs.get_by_text("Seal of the warranty")).to_have_count(0)
    await expect(theirs.get_by_role("button", name="Remove the ticked")).to_have_count(0)
    await look(theirs, "customer-ticket-photos")

    await page.get_by_label("Remove Seal").check()
    await page.get_by_role("button", name="Remove the ticked").click()
    await expect(page.get_by_text("Seal of the warranty")).to_have_count(0)
    await expect(page.get_by_role("link", name="Connector")).to_have_count(2)


async def test_an_action_carries_its_photos_over_a_bad_connection(portal: Portal):
    ticket = await shared_ticket(portal)
    technician = await portal.person(Role.technician)
    page = await portal.browser_of(technician)
    await page.goto(f"/tickets/{ticket.id}/action")
    await page.get_by_label("partial").check()
    await page.get_by_label("Photos", exact=True).set_input_files([file(samples.jpeg())])
    await look(page, "action-photos")
    lost = 0

    async def lose(route, request):
        nonlocal lost
        lost += 1
        if lost == 1:
            await route.fetch(max_redirects=0)
        await (route.abort() if lost < 3 else route.continue_())

    await page.route("**/action", lose)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("No connection")).to_be_visible()
    while lost < 3:
        await page.evaluate("dispatchEvent(new Event('online'))")
        await page.wait_for_timeout(200)
    await page.wait_for_url(f"**/tickets/{ticket.id}")
    with portal.as_actor(technician):
        (action,) = (await actions.list_actions(ticket_id=ticket.id)).items
        (photo,) = (await photos.list_photos(await load_visible(ticket.id))).items
    assert action.photos == [photo.id]
    await expect(page.get_by_role("img", name="Photo 1 of this work")).to_be_visible()
    assert photo.workshop_only


async def test_full_galleries_stay_within_the_budget(portal: Portal):
    ticket = await shared_ticket(portal)
    technician = await portal.person(Role.technician)
    with portal.as_actor(technician):
        for number in range(photos.limits.per_ticket):
            picture = await photos.take_in(samples.jpeg(samples.noise(40, 30, number)))
            async with transaction():
                await photos.attach(ticket, picture, caption=f"Connector {number}, seen from below")
    page = await portal.browser_of(technician, width="phone")
    await page.goto(f"/tickets/{ticket.id}")
    loaded = await page.evaluate(LOADED)
    assert sum(size for name, size in loaded if "/thumbnail" not in name) <= BUDGET_BYTES, loaded
    await page.get_by_role("link", name="All photos").click()
    await expect(page.get_by_role("link", name="Connector 49")).to_be_visible()
    loaded = await page.evaluate(LOADED)
    assert sum(size for name, size in loaded if "/thumbnail" not in name) <= BUDGET_BYTES, loaded
    assert await page.locator(".photos img:not([loading=lazy])").count() == 0
    await look(page, "photos")
    await page.get_by_role("link", name="Show more").click()
    await expect(page.get_by_role("link", name="Connector 0,")).to_be_visible()


async def test_says_that_photos_are_lost_with_the_session(portal: Portal):
    ticket = await shared_ticket(portal)
    page = await portal.browser_of(await portal.person(Role.technician), java_script_enabled=False)
    await page.goto(f"/tickets/{ticket.id}")
    await page.get_by_text("Add photos").click()
    await page.get_by_label("Photos", exact=True).set_input_files([file(samples.jpeg())])
    await page.get_by_label("What do they show?").fill("Fuse box")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_text("Files cannot be kept")).to_be_visible()
