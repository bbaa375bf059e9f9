"""What a technician meets between two repairs: what is late, a ticket that two correct at once, messages."""

from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from app import clock
from app.security import Role, acting_as, system
from models.account import Site, User
from models.enums import Priority
from models.ticket import Ticket, TicketContent
from services.engagement import notifications
from services.repairs import ticket_moves, tickets
from services.repairs.visibility import load_visible
from tests.routes.portal.support import Portal, look

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORK = [
    ("Does not start after rain", Priority.critical, 5, ("Ola", "S1 Pro", "KA05AB1204")),
    ("Stops charging at 80 %", Priority.high, 21, ("Ather", "450X", "MH12AB1234")),
    ("Brake squeals", Priority.medium, 80, ("TVS", "iQube", "MH14CD0042")),
    ("Range is short", Priority.medium, 20, ("Ather", "450S", "MH12EF7781")),
    ("Display flickers", Priority.low, 30, ("Bajaj", "Chetak", "MH12GH0815")),
]
"""Title, priority, age in hours, vehicle."""


async def busy_technician(portal: Portal) -> User:
    """At a workshop of their own, with work of every kind assigned to them."""
    with acting_as(system("test")):
        site = await Site(name=f"Workshop {clock.now().isoformat()}").insert()
    technician = await portal.person(Role.technician, site_ids=[site.id])
    with portal.as_actor(technician):
        for title, priority, hours, (make, model, number) in WORK:
            content = TicketContent(
                title=title, priority=priority, vehicle_make=make, vehicle_model=model, vehicle_number=number
            )
            ticket = await ticket_moves.assign(await tickets.create(content), technician.id)
            then = {"created_at": clock.now() - timedelta(hours=hours), "updated_at": clock.now()}
            await Ticket.get_pymongo_collection().update_one({"_id": ticket.id}, {"$set": then})
    return technician


async def listed(page: Page) -> list[str]:
    return await page.locator("td.main strong").all_inner_texts()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
async def test_sees_what_is_late_and_works_in_that_order(portal: Portal, script: bool):
    page = await portal.browser_of(await busy_technician(portal), java_script_enabled=script)
    await page.goto("/tickets")
    assert await listed(page) == [title for title, *_ in WORK]
    await expect(page.get_by_role("row", name="Does not start after rain")).to_contain_text("overdue by")
    await expect(page.get_by_role("row", name="Stops charging")).to_contain_text("due in")
    if script:
        await look(page, "workbench")
    await page.get_by_role("link", name="2 overdue").click()
    assert await listed(page) == ["Does not start after rain", "Brake squeals"]
    await page.get_by_role("link", name="2 overdue").click()  # the same again takes the choice back
    await page.get_by_label("Order").select_option("first due first")
    await page.get_by_role("button", name="Show").click()
    assert (await listed(page))[:3] == ["Brake squeals", "Does not start after rain", "Stops charging at 80 %"]
    await page.get_by_role("link", name="Brake squeals").click()
    await expect(page.get_by_text("overdue by")).to_be_visible()


async def test_the_list_follows_what_a_colleague_does(portal: Portal):
    technician = await busy_technician(portal)
    page = await portal.browser_of(technician)
    async with page.expect_response("**/live"):
        await page.goto("/tickets?view=open")
    with portal.as_actor(technician):
        await tickets.create(TicketContent(title="Horn is silent", priority=Priority.critical))
    await expect(page.get_by_role("link", name="Horn is silent")).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
async def test_of_two_corrections_of_one_field_both_are_offered(portal: Portal, script: bool):
    technician = await busy_technician(portal)
    colleague = await portal.person(Role.technician, site_ids=technician.site_ids)
    page = await portal.browser_of(technician, java_script_enabled=script)
    await page.goto("/tickets")
    await page.get_by_role("link", name="Range is short").click()
    await page.get_by_role("link", name="Correct").click()
    if script:
        await look(page, "ticket-edit")
    await page.get_by_label("What is wrong?").fill("Range is 40 km instead of 90")
    await page.get_by_label("Mileage in km").fill("18400")
    ticket_id = page.url.split("/")[-2]
    with portal.as_actor(colleague):
        ticket = await load_visible(ticket_id)
        changes = {"title": "Range drops in the cold", "vehicle_model": "450 Apex"}
        await tickets.edit(ticket, changes, revision=ticket.revision)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_contain_text(f"{colleague.name} changed this ticket meanwhile")
    both = page.get_by_role("group", name="title")
    await expect(both).to_contain_text("Before: Range is short")
    await expect(page.get_by_label("Mileage in km")).to_have_value("18400")
    if script:
        await look(page, "ticket-conflict")
    await both.get_by_label("Range is 40 km instead of 90").check()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Range is 40 km instead of 90")).to_be_visible()
    await expect(page.get_by_text("450 Apex")).to_be_visible()
    await expect(page.get_by_text("18,400 km")).to_be_visible()


async def test_a_draft_that_comes_back_takes_nothing_of_others_back(portal: Portal):
    technician = await busy_technician(portal)
    page = await portal.browser_of(technician)
    await page.goto("/tickets")
    await page.get_by_role("link", name="Range is short").click()
    await page.get_by_role("link", name="Correct").click()
    await page.get_by_label("Mileage in km").fill("18400")
    with portal.as_actor(technician):
        ticket = await load_visible(page.url.split("/")[-2])
        await tickets.edit(ticket, {"vehicle_model": "450 Apex"}, revision=ticket.revision)
    await page.reload()
    await expect(page.get_by_text("What you had typed is back")).to_be_visible()
    await page.get_by_role("button", name="Save").click()
    await page.wait_for_url(f"**/tickets/{ticket.id}")
    with portal.as_actor(technician):
        fresh = await load_visible(ticket.id)
    assert (fresh.vehicle_model, fresh.vehicle_mileage_km) == ("450 Apex", 18400)


async def test_messages_wait_at_the_top_until_they_are_read(portal: Portal):
    technician = await busy_technician(portal)
    with portal.as_actor(technician):
        ticket = await tickets.create(TicketContent(title="Horn is silent"))
        for number, subject in enumerate(("A ticket was assigned to you", "Your proposal was taken over")):
            await notifications.notify(
                [technician.id],
                subject=subject,
                body="Horn is silent\nAther 450X",
                link=f"/api/tickets/{ticket.id}" if number == 0 else "",
                dedupe_key=subject,
            )
    page = await portal.browser_of(technician)
    await page.goto("/tickets")
    await page.get_by_role("link", name="Messages (2 not read yet)").click()
    await look(page, "messages")
    await page.get_by_role("button", name="Open").click()
    await expect(page.get_by_role("heading", name="Horn is silent")).to_be_visible()
    await page.get_by_role("link", name="Messages (1 not read yet)").click()
    await page.get_by_role("button", name="Mark all as read").click()
    await expect(page.get_by_text("There is nothing new.")).to_be_visible()
    await expect(page.get_by_role("link", name="Messages", exact=True)).to_be_visible()
