"""What a phone has to load before the first page stands."""

import re

import httpx
import pytest

from app.security import Role, acting_as, system
from models.failure_card import CardContent, FailureCard
from models.ticket import TicketContent
from services.knowledge import cards, graph_edges, lifecycle, reviews
from services.repairs import ticket_moves, tickets
from tests.routes.portal.many import fill
from tests.routes.portal.support import BUDGET_BYTES, Portal, visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOADED = """() => [
  ...performance.getEntriesByType("navigation"),
  ...performance.getEntriesByType("resource").filter((one) => one.initiatorType !== "other"),
].map((one) => [one.name, one.transferSize])"""


def large_card() -> CardContent:
    """As large as a card of the starter knowledge gets, and half as large again."""
    nodes = [
        {
            "node_id": f"q{number}",
            "step_number": number,
            "question": f"Is the voltage between B+ and B- of group {number} above 3.2 V at rest?",
            "check_action": "Measure with the contactors open, after half an hour of rest",
            "safety_warnings": ["High voltage: insulated tools, and never alone."],
            "if_yes": f"q{number + 1}" if number < 8 else None,
            "leads_to_root_cause": "Weak cell group" if number == 8 else None,
            "hands_over_to": "Another failure than this one",
        }
        for number in range(1, 9)
    ]
    return CardContent(
        title="Charging stops at 80 per cent and the range is short in winter",
        subsystem_category="bms",
        failure_mode="degradation",
        description="The pack is charged to 80 per cent, then the charger clicks off. " * 6,
        symptoms=[{"description": f"Symptom number {number} as an owner tells it"} for number in range(10)],
        error_codes=["P0A80", "P0A7E", "U0100"],
        root_cause="A cell group has aged more than the others",
        diagnostic_tree={"root_node_id": "q1", "nodes": nodes},
        resolution_steps=[
            {"step_number": number, "action": "Take the cover off and look", "details": "Mind the seal. " * 8}
            for number in range(1, 11)
        ],
        required_parts=[{"part_name": f"Part {number}", "part_number": f"P-{number:03}"} for number in range(24)],
        vehicle_models=[{"make": "Ather", "model": f"Model {number}"} for number in range(12)],
    )


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
        card = await cards.create(large_card())
        for number in range(12):
            changed = large_card().model_copy(update={"description": f"Written anew for the {number}. time"})
            card = await cards.edit(card, changed, edition=card.edition, summary="Said it more clearly")
        await lifecycle.submit(card)
    with acting_as(system("test")):
        review = (await reviews.list_reviews(card_id=card.id)).items[0]
        await graph_edges.link_card(await FailureCard.get(card.id))
    await fill(portal.api, 60)
    pages = {"/tickets": technician, "/tickets?view=all": technician, f"/tickets/{ticket.id}": technician}
    pages |= {f"/tickets/{ticket.id}/action": technician, "/knowledge": technician, "/events": admin, "/users": admin}
    pages |= dict.fromkeys(("/confidence", "/confidence/calibration", "/health", "/settings"), admin)
    weights = {}
    for path, person in pages.items():
        page = await portal.browser_of(person, width="phone")
        await page.goto(path)
        loaded = await page.evaluate(LOADED)
        weights[path] = sum(size for _, size in loaded)
        assert sum(".css" in name for name, _ in loaded) == sum(".js" in name for name, _ in loaded) == 1
        assert all(name.startswith(portal.url) for name, _ in loaded)
        await page.context.close()
    assert not {path: weight for path, weight in weights.items() if weight > BUDGET_BYTES}, weights
    # The other pages without a browser, which would take a second for each.
    expert = await portal.person(Role.expert)
    customer = await portal.person(Role.fleet_customer)
    pages = {f"/cards/{card.id}": technician, f"/cards/{card.id}/versions": technician, "/tickets/new": customer}
    pages |= {f"/cards/{card.id}/compare": expert, f"/cards/{card.id}/edit": expert, f"/cards/{card.id}/merge": expert}
    pages |= {f"/knowledge/graph?type=failure_card&id={card.id}": technician, "/knowledge?q=charging": technician}
    pages |= {"/reviews": expert, f"/reviews/{review.id}": expert, f"/cards/{card.id}/suggestions": expert}
    pages |= {f"/users/{technician.id}": admin, "/users/new": admin, "/settings": admin, "/account": admin}
    pages |= {"/confidence": expert, "/tickets/upload": customer}
    weights = {path: await weight(await visitor(portal.api, person), path) for path, person in pages.items()}
    assert not {path: one for path, one in weights.items() if one > BUDGET_BYTES}, weights


async def weight(client: httpx.AsyncClient, path: str) -> int:
    """Bytes of a page and of all it asks for, with their headers."""
    page = await client.get(path)
    assert page.status_code == 200, path
    files = [await client.get(address) for address in set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))]
    sent = (page, *files)
    return sum(int(one.headers["content-length"]) + len(str(one.headers.raw)) for one in sent)
