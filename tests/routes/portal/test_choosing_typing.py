"""Choosing one of thousands while typing."""

import pytest
from playwright.async_api import expect

from app.security import Role
from models.ticket import TicketContent
from routes.portal.picking import FOUND
from services.repairs import tickets
from tests.routes.portal.many import fill
from tests.routes.portal.support import Portal, look

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_finds_a_vehicle_while_typing_and_keeps_it_over_a_reload(portal: Portal):
    await fill(portal.api, 2100)
    customer = await portal.person(Role.fleet_customer)
    page = await portal.browser_of(customer)
    await page.goto("/tickets/new")
    await page.get_by_label("What is wrong?").fill("Belt squeals")
    await expect(page.get_by_role("button", name="Find")).to_have_count(0)
    await page.get_by_label("Vehicle: Registration").press_sequentially("ab 1234")
    await page.get_by_label("MH12AB1234").check()
    await page.get_by_label("Vehicle: Registration").fill("MH12AB00")
    await expect(page.get_by_text("More match. Type more of it.")).to_be_visible()
    await expect(page.locator("#vehicle_id-found input")).to_have_count(FOUND + 2)
    await expect(page.get_by_label("MH12AB1234")).to_be_checked()
    await look(page, "choosing")
    await page.reload()
    await expect(page.get_by_text("What you had typed is back.")).to_be_visible()
    await expect(page.get_by_label("MH12AB1234")).to_be_checked()
    await page.get_by_role("button", name="Submit ticket").click()
    await expect(page.get_by_text("MH12AB1234").first).to_be_visible()
    # A technician takes one of thousands of parts for it.
    technician = await portal.person(Role.technician)
    with portal.as_actor(technician):
        ticket = await tickets.create(TicketContent(title="Belt squeals"))
    bench = await portal.browser_of(technician)
    await bench.goto(f"/tickets/{ticket.id}")
    await bench.get_by_label("Take from stock: Name or number").fill("rl-2017")
    await bench.get_by_label("Relay 2017").check()
    await look(bench, "choosing-part")
    await bench.get_by_label("Pieces").fill("2")
    await bench.get_by_role("button", name="Take", exact=True).click()
    await expect(bench.get_by_text("× 2")).to_be_visible()
