"""A technician's day: find the ticket, see the suspects, take a part, record the work, and lose nothing on the way."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from app.security import Role, acting_as, system
from models.account import User
from models.enums import FailureMode, Priority, Severity, SubsystemCategory, TicketStatus
from models.failure_card import CardContent, FailureCard, RequiredPart, VehicleCompatibility
from models.part import PartContent
from models.ticket import Ticket, TicketContent
from services.knowledge import cards, lifecycle
from services.repairs import actions, stock, ticket_moves, tickets
from services.repairs.visibility import load_visible
from tests.routes.portal.support import Portal, look

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Bench:
    technician: User
    ticket: Ticket
    card: FailureCard


def bms_card() -> CardContent:
    return CardContent(
        title="BMS board loses a cell sense line",
        description="The pack stops charging early; one cell group reads zero volts.",
        subsystem_category=SubsystemCategory.bms,
        failure_mode=FailureMode.open_circuit,
        severity=Severity.high,
        symptom_text="Charging stops at 80 per cent, charger clicks off, pack warm",
        error_codes=["P0A7E"],
        root_cause="A sense wire has broken at the board connector.",
        required_parts=[RequiredPart(part_name="BMS board 14S", part_number="BMS-14S-2")],
        vehicle_models=[VehicleCompatibility(make="Ather", model="450X", year_from=2021, year_to=2025)],
    )


@pytest_asyncio.fixture(loop_scope="module")
async def bench(portal: Portal) -> AsyncIterator[Bench]:
    technician = await portal.person(Role.technician)
    with acting_as(system("test")):
        card = await cards.create(bms_card())
        card = await lifecycle.approve(await lifecycle.submit(card))
        if not (await stock.list_parts(site_id=portal.api.site.id)).items:
            part = PartContent(part_name="BMS board 14S", part_number="BMS-14S-2")
            await stock.add_part(part, site_id=portal.api.site.id, quantity=40)
    with portal.as_actor(technician):
        content = TicketContent(
            title="Stops charging at 80 %",
            description="Charger clicks off after ten minutes, the pack is warm.",
            error_codes_reported=["P0A7E"],
            priority=Priority.high,
            vehicle_make="Ather",
            vehicle_model="450X",
            vehicle_year=2023,
            vehicle_number="MH12AB1234",
        )
        ticket = await tickets.create(content)
        ticket = await ticket_moves.assign(ticket, technician.id)
    yield Bench(technician, ticket, card)


async def state(portal: Portal, bench: Bench) -> Ticket:
    with portal.as_actor(bench.technician):
        return await load_visible(bench.ticket.id)


async def test_works_a_ticket_from_the_list_to_its_resolution(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician)
    await page.goto("/")
    await look(page, "tickets")
    await page.get_by_role("link", name="Stops charging at 80 %").click()
    suspect = page.get_by_role("article").first
    await expect(suspect).to_contain_text("BMS board loses a cell sense line")
    await expect(suspect).to_contain_text("%")
    await expect(suspect.locator(".for").first).to_be_visible()
    await page.get_by_label("Take from stock").select_option(index=1)
    await page.get_by_role("button", name="Take", exact=True).click()
    await expect(page.get_by_text("× 1")).to_be_visible()
    await look(page, "ticket")
    await page.get_by_role("link", name="It is this").first.click()
    await page.get_by_label("success").check()
    await page.get_by_label("What did you check").fill("Cell group 7 reads 0 V\nSense wire broken at pin 7")
    await page.get_by_label("What did you do?").fill("Replaced the BMS board")
    await page.get_by_label("BMS board 14S × 1").check()
    await page.get_by_label("Minutes of work").fill("45")
    await page.get_by_label("Resolve the ticket with this").check()
    await look(page, "action")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Resolution")).to_be_visible()
    await expect(page.get_by_text("Sense wire broken at pin 7")).to_be_visible()
    await look(page, "ticket-resolved")
    ticket = await state(portal, bench)
    assert (ticket.status, ticket.selected_failure_card, ticket.labor_hours) == ("resolved", bench.card.id, 0.75)
    assert [part.part_name for part in ticket.parts_used] == ["BMS board 14S"]
    await page.get_by_label("It came back?").fill("Stopped at 80 % again")
    await page.get_by_role("button", name="Reopen").click()
    await expect(page.get_by_text("came back ×1")).to_be_visible()


async def test_works_without_a_script_and_by_keyboard_alone(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician, java_script_enabled=False)
    await page.goto(f"/tickets/{bench.ticket.id}/action")
    await _tab_to(page, "failed")
    await page.keyboard.press("Space")
    await _tab_to(page, "What did you check and find?")
    await page.keyboard.type("Nothing found")
    await _tab_to(page, "Save")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Nothing found")).to_be_visible()
    assert (await state(portal, bench)).status == "in_progress"


# Tab reaches a group of radio buttons once; the arrows move within it.
REACHED = """(wanted) => {
  const focused = document.activeElement;
  if (wanted.type === "radio" && focused.name === wanted.name) wanted.focus();
  return wanted === document.activeElement;
}"""


async def _tab_to(page: Page, name: str) -> None:
    """Move the focus on until it stands on this control."""
    wanted = page.get_by_role("button", name=name).or_(page.get_by_label(name, exact=True)).first
    for _ in range(60):
        if await wanted.evaluate(REACHED):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached")


async def test_a_draft_survives_a_reload_and_is_sent_once_over_a_bad_connection(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician)
    await page.goto(f"/tickets/{bench.ticket.id}/action")
    await page.get_by_label("partial").check()
    await page.get_by_label("What did you do?").fill("Cleaned the connector")
    await page.reload()
    await expect(page.get_by_text("What you had typed is back")).to_be_visible()
    await expect(page.get_by_label("What did you do?")).to_have_value("Cleaned the connector")
    await expect(page.get_by_label("partial")).to_be_checked()
    # The request arrives, its answer is lost; then there is no connection at all; then it is sent again.
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
    await page.wait_for_url(f"**/tickets/{bench.ticket.id}")
    with portal.as_actor(bench.technician):
        assert len((await actions.list_actions(ticket_id=bench.ticket.id)).items) == 1
    await page.goto(f"/tickets/{bench.ticket.id}/action")
    await expect(page.get_by_label("What did you do?")).to_have_value("")


async def test_keeps_what_was_typed_when_the_form_is_refused(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician)
    await page.goto(f"/tickets/{bench.ticket.id}/action")
    await page.get_by_role("radio", name="escalated").check()
    await page.get_by_label("Minutes of work").fill("many")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_be_focused()
    await expect(page.get_by_label("Minutes of work")).to_have_value("many")
    await page.get_by_label("Minutes of work").fill("5")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("#escalation_reason-error")).to_contain_text("is required")
    await look(page, "action-refused")


async def test_says_who_changed_the_ticket_meanwhile(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician)
    await page.goto(f"/tickets/{bench.ticket.id}/action")
    await page.get_by_label("failed").check()
    await page.get_by_label("Notes").fill("Connector is dry")
    colleague = await portal.person(Role.technician)
    with portal.as_actor(colleague):
        await ticket_moves.progress(await load_visible(bench.ticket.id), TicketStatus.in_progress)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_contain_text(f"{colleague.name} set it to in progress")
    await expect(page.get_by_label("Notes")).to_have_value("Connector is dry")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Connector is dry")).to_be_visible()


async def test_follows_what_a_colleague_does(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician)
    async with page.expect_response("**/live"):
        await page.goto(f"/tickets/{bench.ticket.id}")
    with portal.as_actor(await portal.person(Role.technician)):
        await ticket_moves.progress(await load_visible(bench.ticket.id), TicketStatus.in_progress, "Looking into it")
    await expect(page.get_by_text("Looking into it")).to_be_visible()
