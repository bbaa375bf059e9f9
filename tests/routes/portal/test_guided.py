"""A technician is led through a diagnosis: check by check, to the repair and its record."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from app.security import Role, acting_as, system
from models.account import User
from models.failure_card import CardContent
from models.part import PartContent
from models.ticket import Ticket, TicketContent
from services.knowledge.loading import upsert_by_natural_key
from services.repairs import actions, stock, ticket_moves, tickets
from services.repairs.visibility import load_visible
from tests.routes.portal.desk import costly
from tests.routes.portal.support import Portal, look

pytestmark = pytest.mark.asyncio(loop_scope="module")

PART = "Weak cell group"
"""Cards name their part as themselves."""


def cards() -> list[tuple[str, CardContent]]:
    known = costly()
    for _, card in known:
        spread, *more = card.diagnostic_tree.nodes
        spread.check_action = "Charge until it ends, rest one hour, read all groups by tool; check with a meter."
        spread.expected_outcome = "Below 20 mV on a healthy, balanced pack."
        spread.tools_required = ["BMS diagnostic tool", "Digital multimeter (1 mV)"]
        for node in more:
            node.check_action = "Ride at full throttle with the logger on; compare the lowest groups."
    return known


@dataclass
class Bench:
    technician: User
    ticket: Ticket


@pytest_asyncio.fixture(loop_scope="module")
async def bench(portal: Portal) -> AsyncIterator[Bench]:
    technician = await portal.person(Role.technician)
    with acting_as(system("test")):
        await upsert_by_natural_key(cards())
        if not (await stock.list_parts(site_id=portal.api.site.id)).items:
            part = PartContent(part_name=PART, part_number=PART, unit_cost="9000")
            await stock.add_part(part, site_id=portal.api.site.id, quantity=4)
    with portal.as_actor(technician):
        content = TicketContent(
            title="Charging stops at 80 percent",
            description="Range is short",
            error_codes_reported=["P0A80"],
            vehicle_make="Ather",
            vehicle_model="450X",
            vehicle_year=2023,
        )
        ticket = await ticket_moves.assign(await tickets.create(content), technician.id)
    yield Bench(technician, ticket)


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def test_leads_from_the_first_check_to_the_recorded_repair(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician)
    await page.goto(f"/tickets/{bench.ticket.id}")
    await look(page, "guided-ticket")
    await press(page, "Start guided diagnosis")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("resting spread")
    await look(page, "guided-check")
    await page.get_by_label("Measured").fill("90")
    await page.get_by_label("Unit").fill("mV")
    await press(page, "Take the reading as answer")
    await expect(page.get_by_text("Safety first")).to_be_visible()
    await look(page, "guided-safety")
    await page.get_by_role("link", name="Pause").click()
    await expect(page.get_by_role("link", name="Go on")).to_be_visible()
    await look(page, "guided-ticket-paused")
    await page.get_by_role("link", name="Go on").click()
    await press(page, "I have read this")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("sag")
    await look(page, "guided-second-check")
    await press(page, "Yes")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Weak cell group")
    await look(page, "guided-confirmed")
    await press(page, "It helped")
    await page.get_by_role("link", name="Record work").click()
    await expect(page.get_by_label("Weak cell group").first).to_be_checked()
    await page.get_by_label("Fitted straight from stock").select_option(index=1)
    await look(page, "guided-action")
    await press(page, "Save")
    await expect(page.get_by_role("heading", name="Resolution")).to_be_visible()
    with portal.as_actor(bench.technician):
        [action] = (await actions.list_actions(ticket_id=bench.ticket.id)).items
        ticket = await load_visible(bench.ticket.id)
    assert [done.answer is not None for done in action.attempted_diagnostics] == [True, True]
    assert {one.hypothesis for one in action.rejected_hypotheses} >= {"Charger ends early"}
    assert (action.resolution_outcome, action.diagnostic_time_minutes) == ("success", 20)
    assert action.tools_used == ["BMS diagnostic tool", "Digital multimeter (1 mV)"]
    assert (ticket.status, [part.part_name for part in ticket.parts_used]) == ("resolved", [PART])


async def test_works_without_a_script_and_by_keyboard_alone(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician, java_script_enabled=False)
    await page.goto(f"/tickets/{bench.ticket.id}")
    await _press_by_key(page, "Start guided diagnosis")
    await page.get_by_label("Measured").focus()
    await page.keyboard.type("ninety")
    await page.keyboard.press("Enter")
    await expect(page.locator("#value-error")).to_contain_text("valid number")
    await page.get_by_label("Measured").fill("0,09")
    await page.get_by_label("Unit").fill("V")
    await page.keyboard.press("Enter")
    await _press_by_key(page, "I have read this")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("sag")
    # Where a reading cannot answer, Enter in a field must not take the first answer that comes along.
    here = page.url
    await page.get_by_text("Add a measurement or a note").click()
    await page.get_by_label("Measured").fill("3")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("sag")
    assert page.url == here
    await page.get_by_label("Measured").fill("")
    await _press_by_key(page, "No")
    await expect(page.get_by_text("on full throttle? – no").first).to_be_visible()
    await _press_by_key(page, "Undo")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("sag")


async def _press_by_key(page: Page, name: str) -> None:
    """Move the focus on until it stands on this button, and press it."""
    wanted = page.get_by_role("button", name=name, exact=True).first
    for _ in range(60):
        if await wanted.evaluate("(wanted) => wanted === document.activeElement"):
            await page.keyboard.press("Enter")
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached")


async def test_a_missed_check_is_made_and_what_was_typed_is_still_there(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician)
    await page.goto(f"/tickets/{bench.ticket.id}")
    await page.get_by_role("link", name="It is this Weak cell group").click()
    await page.get_by_label("success").check()
    await page.get_by_label("What did you do?").fill("Replaced the group")
    await page.get_by_label("Resolve the ticket with this").check()
    await press(page, "Save")
    await expect(page.get_by_role("heading", name="A cheap check would decide this first")).to_be_visible()
    await look(page, "guided-missed-check")
    await page.get_by_role("button", name="Check it now").first.click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("resting spread")
    assert len(page.context.pages) == 1
    await page.get_by_label("Measured").fill("90")
    await press(page, "Take the reading as answer")
    await expect(page.get_by_text("Safety first")).to_be_visible()
    await page.goto(f"/tickets/{bench.ticket.id}/action")
    await expect(page.get_by_text("What you had typed is back")).to_be_visible()
    await expect(page.get_by_label("What did you do?")).to_have_value("Replaced the group")
    await expect(page.get_by_role("heading", name="From the guided diagnosis")).to_be_visible()
    await expect(page.get_by_label("Leave these checks out")).not_to_be_checked()


async def test_a_failure_that_nobody_knows_is_captured(portal: Portal, bench: Bench):
    with portal.as_actor(bench.technician):
        ticket = await tickets.create(TicketContent(title="Horn hoots by itself in the rain"))
    page = await portal.browser_of(bench.technician)
    await page.goto(f"/tickets/{ticket.id}")
    await press(page, "Start guided diagnosis")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("No known failure explains this")
    await look(page, "guided-unknown")
    await page.get_by_role("link", name="Capture the unknown failure").click()
    await expect(page.get_by_label("Yes, no card describes this failure")).to_be_checked()
    await look(page, "guided-capture")


async def test_another_device_and_a_stop(portal: Portal, bench: Bench):
    page = await portal.browser_of(bench.technician)
    await page.goto(f"/tickets/{bench.ticket.id}")
    await press(page, "Start guided diagnosis")
    await page.get_by_text("Add a note").click()
    await page.get_by_label("Note").fill("Pack was warm")
    other = await portal.browser_of(await portal.person(Role.technician))
    await other.goto(page.url)
    await press(other, "Skip")
    await expect(other.get_by_text("– skipped").first).to_be_visible()
    await press(page, "Yes")
    await expect(page.get_by_role("alert")).to_contain_text("has gone on since that page was shown")
    await expect(page.get_by_role("alert")).to_contain_text("Pack was warm")
    await look(page, "guided-elsewhere")
    await page.get_by_text("Stop this diagnosis").click()
    await page.get_by_label("Why?").fill("Towed to another workshop")
    await press(page, "Stop")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("was stopped")
    await look(page, "guided-stopped")
