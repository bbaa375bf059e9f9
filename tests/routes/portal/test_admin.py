"""An admin: reports, dead letters, accounts, workshops, settings, and tables as files."""

import csv
import io

import pytest
from playwright.async_api import expect

from app.database import transaction
from app.security import Role, acting_as, system
from models.event import EfiEvent, TicketCreated
from services.accounts import users
from services.events import record
from services.knowledge import cards, lifecycle
from tests.routes.portal.support import Portal, look
from tests.routes.portal.test_technician import bms_card

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def dead_letter() -> EfiEvent:
    with acting_as(system("test")):
        async with transaction():
            event = await record(TicketCreated(ticket_id="tkt_00000000000000000000"))
        change = {"status": "dead", "error": "ValueError: <b>broken</b>", "attempts": 8}
        await EfiEvent.get_pymongo_collection().update_one({"_id": event.id}, {"$set": change})
    return event


async def test_replays_and_discards_dead_letters(portal: Portal):
    first, second = await dead_letter(), await dead_letter()
    page = await portal.browser_of(await portal.person(Role.admin))
    await page.goto("/events")
    await expect(page.get_by_text("ValueError: <b>broken</b>").first).to_be_visible()
    await look(page, "events")
    await page.get_by_role("button", name="Replay").first.click()
    await expect(page.get_by_role("button", name="Replay")).to_have_count(1)
    await page.get_by_role("button", name="Discard").click()
    await expect(page.get_by_role("heading", name="Dead letters")).to_have_count(0)
    with acting_as(system("test")):
        states = [(await EfiEvent.find_one({"_id": one.id})).status for one in (second, first)]
    assert states == ["pending", "discarded"]


async def test_reports_confidence(portal: Portal):
    with acting_as(system("test")):
        await lifecycle.approve(await lifecycle.submit(await cards.create(bms_card())))
    page = await portal.browser_of(await portal.person(Role.admin))
    await page.goto("/")
    await expect(page.locator("svg.chart rect")).not_to_have_count(0)
    await expect(page.get_by_role("link", name="BMS board loses a cell sense line").first).to_be_visible()


async def test_keeps_accounts(portal: Portal):
    page = await portal.browser_of(await portal.person(Role.admin))
    await page.goto("/users")
    await look(page, "users")
    await page.get_by_role("link", name="New account").click()
    await page.get_by_label("Name").fill("Asha")
    await page.get_by_label("E-mail address").fill("Asha@example.com")
    await page.get_by_label("technician").check()
    await page.get_by_label(portal.api.site.name).check()
    await page.get_by_label("Password").fill("ten letters and more")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Asha")).to_be_visible()
    await look(page, "user")
    await page.get_by_label("technician").uncheck()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_role("button", name="Close the account").click()
    with acting_as(system("test")):
        user = await users.with_address("asha@example.com")
    assert (user.active, user.roles, user.site_ids) == (False, [Role.technician], [portal.api.site.id])


async def test_keeps_workshops(portal: Portal):
    page = await portal.browser_of(await portal.person(Role.admin))
    await page.goto("/sites")
    form = page.locator("form").filter(has=page.locator("input[value=site]")).last
    await form.get_by_label("Name").fill("Workshop Two")
    await form.get_by_label("Country").fill("Germany")
    await form.get_by_role("button", name="Save").click()
    await expect(form.locator(".error")).to_be_visible()
    await expect(form.get_by_label("Name")).to_have_value("Workshop Two")
    await form.get_by_label("Country").fill("DE")
    await form.get_by_role("button", name="Save").click()
    await page.get_by_role("link", name="Edit Workshop Two").click()
    await page.get_by_label("City").first.fill("Ulm")
    await look(page, "sites")
    await page.get_by_role("button", name="Save").first.click()
    await expect(page.get_by_text("Ulm · DE")).to_be_visible()


async def test_shows_settings_without_secrets(portal: Portal):
    page = await portal.browser_of(await portal.person(Role.admin))
    await page.goto("/settings")
    await expect(page.get_by_text("EFI_RETURN_WINDOW_DAYS")).to_be_visible()
    assert portal.api.settings.signing_key not in await page.content()
    await look(page, "settings")


async def test_downloads_tables(portal: Portal):
    await dead_letter()
    admin = await portal.person(Role.admin)
    with acting_as(system("test")):
        await users.edit(admin, {"name": "=1+1"}, revision=admin.revision)
    page = await portal.browser_of(admin)
    for path, column in (("/users.csv", "email"), ("/events.csv", "event_type"), ("/tickets.csv", "title")):
        answer = await page.request.get(path)
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
        assert not rows or column in rows[0]
        assert "=1+1" not in [value for row in rows for value in row.values()]
