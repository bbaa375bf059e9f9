"""What a phone has to load before the first page stands."""

import pytest

from app.security import Role
from models.ticket import TicketContent
from services.repairs import ticket_moves, tickets
from tests.routes.portal.support import BUDGET_BYTES, Portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOADED = """() => [
  ...performance.getEntriesByType("navigation"),
  ...performance.getEntriesByType("resource").filter((one) => one.initiatorType !== "other"),
].map((one) => [one.name, one.transferSize])"""


async def test_full_lists_stay_within_the_budget(portal: Portal):
    technician, admin = await portal.person(Role.technician), await portal.person(Role.admin)
    with portal.as_actor(technician):
        for number in range(50):
            content = TicketContent(
                title=f"Stops charging at 80 per cent, again and again ({number})",
                vehicle_make="Ather",
                vehicle_model="450X",
                vehicle_number=f"MH12AB{number:04}",
                error_codes_reported=["P0A7E", "P0AA6"],
            )
            ticket = await ticket_moves.assign(await tickets.create(content), technician.id)
    pages = {"/tickets": technician, "/tickets?view=all": technician, f"/tickets/{ticket.id}": technician}
    pages |= {f"/tickets/{ticket.id}/action": technician, "/knowledge": technician, "/events": admin, "/users": admin}
    pages |= dict.fromkeys(("/confidence", "/confidence/calibration", "/health", "/settings"), admin)
    for path, person in pages.items():
        page = await portal.browser_of(person, width="phone")
        await page.goto(path)
        loaded = await page.evaluate(LOADED)
        assert sum(size for _, size in loaded) <= BUDGET_BYTES, (path, loaded)
        assert sum(".css" in name for name, _ in loaded) == sum(".js" in name for name, _ in loaded) == 1
        assert all(name.startswith(portal.url) for name, _ in loaded)
        await page.context.close()
