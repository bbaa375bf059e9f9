"""A fleet customer: hands in tickets, one or many, follows them, and brings a vehicle back."""

import pytest
from playwright.async_api import expect

from app.security import Role, acting_as, system
from models.enums import FailureMode, SubsystemCategory, TicketStatus
from models.failure_card import CardContent
from models.technician_action import ActionContent
from models.ticket import Resolution, TicketContent
from models.vehicle import VehicleContent
from services.accounts import vehicles
from services.diagnosis import matches
from services.knowledge import cards, lifecycle
from services.repairs import actions, ticket_moves, tickets
from services.repairs.tickets import TicketFilter
from services.repairs.visibility import load_visible
from tests.routes.portal.support import Portal, look

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_submits_follows_and_reopens_a_ticket(portal: Portal):
    customer = await portal.person(Role.fleet_customer)
    technician = await portal.person(Role.technician)
    with portal.as_actor(customer) as actor:
        content = VehicleContent(vehicle_type="two_wheeler", make="Ather", model="450X", registration="MH14ZZ0001")
        await vehicles.create(content, actor)
    page = await portal.browser_of(customer)
    await page.goto("/")
    await page.get_by_role("link", name="New ticket").click()
    await page.get_by_label("What is wrong?").fill("No drive in the morning")
    await page.get_by_label("Fault codes").fill("P0A7E, nonsense!!")
    await page.get_by_label("Vehicle", exact=True).select_option(label="MH14ZZ0001 Ather 450X")
    await look(page, "ticket-new")
    await page.get_by_role("button", name="Submit ticket").click()
    await expect(page.locator("#error_codes_reported-error").or_(page.get_by_role("alert")).first).to_be_visible()
    await expect(page.get_by_label("What is wrong?")).to_have_value("No drive in the morning")
    await page.get_by_label("Fault codes").fill("P0A7E")
    await page.get_by_role("button", name="Submit ticket").click()
    await expect(page.get_by_role("heading", name="No drive in the morning")).to_be_visible()
    ticket_id = page.url.rpartition("/")[2]
    await expect(page.get_by_role("heading", name="Suspects")).to_have_count(0)
    with portal.as_actor(await portal.person(Role.admin)):
        ticket = await ticket_moves.assign(await load_visible(ticket_id), technician.id, site_id=portal.api.site.id)
        assert ticket.vehicle_number == "MH14ZZ0001"
    with portal.as_actor(technician):
        secret = ActionContent(ticket_id=ticket_id, resolution_outcome="success", technician_notes="Between us: abuse")
        await actions.record(secret)
        await ticket_moves.resolve(await load_visible(ticket_id), Resolution(resolution="New motor relay"))
    await expect(page.get_by_role("heading", name="Resolution")).to_have_count(0)
    await expect(page.get_by_text("resolved").first).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("New motor relay")).to_be_visible()
    await expect(page.get_by_text("Between us")).to_have_count(0)
    await look(page, "customer-ticket")
    await page.get_by_label("It came back?").fill("Again no drive")
    await page.get_by_role("button", name="Reopen").click()
    await expect(page.get_by_text("Again no drive")).to_be_visible()


async def test_is_told_likely_causes_where_an_admin_allows_it(portal: Portal):
    customer = await portal.person(Role.fleet_customer)
    with acting_as(system("test")):
        content = CardContent(
            title="Charger relay sticks",
            subsystem_category=SubsystemCategory.charger,
            failure_mode=FailureMode.intermittent,
            symptom_text="Does not charge, relay clicks",
            error_codes=["P0D22"],
            universal_failure=True,
        )
        await lifecycle.approve(await lifecycle.submit(await cards.create(content)))
    with portal.as_actor(customer):
        ticket = await tickets.create(
            TicketContent(title="Does not charge, relay clicks", error_codes_reported=["P0D22"], vehicle_make="Ather")
        )
    with acting_as(system("test")):
        await matches.match_ticket(ticket)
    page = await portal.browser_of(customer)
    await page.goto(f"/tickets/{ticket.id}")
    await expect(page.get_by_role("heading", name="Likely causes")).to_have_count(0)
    admin = await portal.browser_of(await portal.person(Role.admin))
    await admin.goto(f"/sites?edit={portal.api.organisation.id}")
    organisation = admin.locator("form").filter(has=admin.locator(f'[value="{portal.api.organisation.id}"]'))
    await organisation.get_by_label("Show its people likely causes").check()
    await organisation.get_by_role("button", name="Save").click()
    await page.reload()
    await expect(page.get_by_role("heading", name="Likely causes")).to_be_visible()
    await expect(page.get_by_text("Charger relay sticks")).to_be_visible()
    await look(page, "customer-likely-causes")


async def test_uploads_many_and_corrects_the_wrong_ones(portal: Portal):
    customer = await portal.person(Role.fleet_customer)
    page = await portal.browser_of(customer)
    await page.goto("/tickets/upload")
    rows = ["Does not charge,2023,P0A7E", "no,1812,", "", '"Beeps, loudly",,P0A80 P0AA6']
    content = "\n".join(["title,vehicle_year,error_codes_reported", *rows])
    await page.get_by_label("CSV file").set_input_files(
        {"name": "fleet.csv", "mimeType": "text/csv", "buffer": content.encode()}
    )
    await page.get_by_role("button", name="Take in").click()
    await expect(page.get_by_role("heading", name="2 of 3 rows taken in")).to_be_visible()
    wrong = page.get_by_label("Correct these rows and send them again")
    await expect(wrong).to_have_value("title,vehicle_year,error_codes_reported\nno,1812,\n")
    await look(page, "upload-report")
    await wrong.fill("title,vehicle_year\nNo horn,2022")
    await page.get_by_role("button", name="Take in").click()
    await expect(page.get_by_role("heading", name="1 of 1 rows taken in")).to_be_visible()
    with portal.as_actor(customer):
        found = {one.title for one in (await tickets.list_tickets(TicketFilter(status=TicketStatus.open))).items}
    assert {"Does not charge", "Beeps, loudly", "No horn"} <= found
    await page.get_by_label("Or paste the rows here").fill("colour\nred")
    await page.get_by_role("button", name="Take in").click()
    await expect(page.get_by_role("alert")).to_contain_text("Unknown columns: colour")


async def test_shows_hostile_text_as_text(portal: Portal):
    customer = await portal.person(Role.fleet_customer)
    mark = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    bidi = "\u202egnp.exe\u2066"
    with portal.as_actor(customer):
        await tickets.create(
            TicketContent(
                title=f"{mark}{bidi}"[:200],
                description=f"{mark}\n{{{{ 7 * 7 }}}}\n{bidi}\n" + "w" * 19_000,
                vehicle_make='"><b>make',
                vehicle_number="javascript:alert(3)",
            )
        )
    page = await portal.browser_of(customer)
    alarms: list[str] = []
    page.on("dialog", lambda dialog: alarms.append(dialog.message))
    page.on("request", lambda request: alarms.append(request.url) if not request.url.startswith(portal.url) else None)
    await page.goto("/tickets")
    await page.get_by_role("link", name="onerror").click()
    await expect(page.get_by_text("{{ 7 * 7 }}")).to_be_visible()
    assert await page.locator("main img, main script, main b").count() == 0
    await look(page, "hostile")
    assert alarms == []
