"""Coming and going: sessions, CSRF, what strangers see, and a session that ends while somebody types."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

from app.security import Role, acting_as, system
from models.ticket import TicketContent
from services.accounts import sessions
from services.repairs import actions, ticket_moves, tickets
from tests.routes.portal.support import Portal, look
from tests.support import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_signs_in_and_out(portal: Portal):
    user = await portal.person(Role.technician)
    page = await portal.stranger()
    await page.goto("/account")
    await look(page, "sign-in")
    await page.get_by_label("E-mail address").fill(user.email)
    await page.get_by_label("Password").fill("wrong")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("is wrong")
    await expect(page.get_by_label("E-mail address")).to_have_value(user.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    await look(page, "account")
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies()}
    assert cookies["efi_session"]["httpOnly"]
    assert cookies["efi_session"]["sameSite"] == "Lax"
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.goto("/account")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_a_session_that_ends_loses_no_work(portal: Portal):
    user = await portal.person(Role.technician)
    page = await portal.browser_of(user)
    await page.goto("/account")
    await page.get_by_label("Time zone").fill("Europe/Berlin")
    with acting_as(system("test")):
        await sessions.end_all(user.id)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("What you entered is kept")).to_be_visible()
    await page.get_by_label("E-mail address").fill(user.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Europe/Berlin")).to_be_visible()
    await look(page, "send-kept")
    await page.get_by_role("button", name="Send it now").click()
    await expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")


async def test_a_session_that_ends_under_a_draft_loses_no_work(portal: Portal):
    """The form is sent by the script, which keeps it in the browser as well: it takes effect once all the same."""
    user = await portal.person(Role.technician)
    with portal.as_actor(user):
        ticket = await ticket_moves.assign(await tickets.create(TicketContent(title="Motor hums")), user.id)
    page = await portal.browser_of(user)
    await page.goto(f"/tickets/{ticket.id}/action")
    await page.get_by_label("success").check()
    await page.get_by_label("Resolve the ticket with this").uncheck()
    await page.get_by_label("What did you do?").fill("Cleaned the hall sensor's plug")
    with acting_as(system("test")):
        await sessions.end_all(user.id)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("What you entered is kept")).to_be_visible()
    await page.get_by_label("E-mail address").fill(user.email)
    await page.get_by_label("Password").fill("wrong at first")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("is wrong")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Cleaned the hall sensor's plug")).to_be_visible()
    await page.get_by_role("button", name="Send it now").click()
    await expect(page.locator("[data-part=actions]")).to_contain_text("Cleaned the hall sensor's plug")
    with portal.as_actor(user):
        assert len((await actions.list_actions(ticket_id=ticket.id)).items) == 1
    await page.goto(f"/tickets/{ticket.id}/action")
    await expect(page.get_by_label("What did you do?")).to_have_value("")
    await expect(page.get_by_text("What you had typed is back.")).to_have_count(0)


async def test_dates_are_in_the_zone_of_the_device(portal: Portal):
    user = await portal.person(Role.technician)
    page = await portal.stranger(timezone_id="America/New_York")
    await page.goto("/account")
    await page.get_by_label("E-mail address").fill(user.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Time zone")).to_have_value("America/New_York")
    shown = page.locator("time").first
    instant = datetime.fromisoformat(await shown.get_attribute("datetime") or "")
    there = instant.astimezone(ZoneInfo("America/New_York"))
    await expect(shown).to_have_text(f"{there:%d %b %Y, %H:%M}")


async def test_changes_the_password_and_the_colours(portal: Portal):
    user = await portal.person(Role.expert)
    page = await portal.browser_of(user)
    await page.goto("/account")
    await page.get_by_label("Dark").check()
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.get_by_label("Current password").fill("not it")
    await page.get_by_label("New password").fill("a longer secret")
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("is not the current password")).to_be_visible()
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_label("New password").fill("a longer secret")
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
