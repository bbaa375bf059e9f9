"""What customers are told of the failures that are suspected, over HTTP and on the page of their ticket."""

import pytest

from app.security import Role, acting_as, system
from models.account import Organisation
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent
from models.ticket import Ticket, TicketContent
from services.accounts.sessions import actor_of
from services.diagnosis import matches
from services.knowledge import cards, lifecycle
from services.repairs import tickets
from services.repairs.visibility import load_visible
from tests.routes.portal.support import csrf_token, visitor
from tests.support import Api


@pytest.fixture
async def ticket(api: Api) -> Ticket:
    """A customer's ticket at our site that a known failure explains."""
    with acting_as(system("test")):
        content = CardContent(
            title="Charger relay sticks",
            subsystem_category=SubsystemCategory.charger,
            failure_mode=FailureMode.intermittent,
            symptom_text="Does not charge, relay clicks",
            error_codes=["P0A7E"],
            universal_failure=True,
        )
        await lifecycle.approve(await lifecycle.submit(await cards.create(content)))
        content = TicketContent(title="Does not charge, relay clicks", error_codes_reported=["P0A7E"])
        ticket = await tickets.create(content, site_id=api.site.id, organisation_id=api.organisation.id)
        await matches.match_ticket(ticket)
        return await load_visible(ticket.id)


async def allow(api: Api) -> None:
    """As an admin does it."""
    admin = await api.as_role(Role.admin)
    path = f"/api/organisations/{api.organisation.id}"
    etag = (await admin.get(path)).headers["etag"]
    body = {"name": api.organisation.name, "currency": "INR", "show_likely_causes": True}
    assert (await admin.put(path, json=body, headers={"If-Match": etag})).json()["show_likely_causes"] is True


async def test_a_customer_is_told_only_where_an_admin_allows_it(api: Api, ticket: Ticket):
    user = await api.add_user(Role.fleet_customer)
    customer, browser = await api.signed_in(user), await visitor(api, user)
    path = f"/api/tickets/{ticket.id}/likely-causes"
    refused = await customer.get(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "likely_causes_withheld")
    assert "Charger relay sticks" not in (await browser.get(f"/tickets/{ticket.id}")).text
    await allow(api)
    told = (await customer.get(path)).json()["items"]
    assert [one["title"] for one in told] == ["Charger relay sticks"]
    page = (await browser.get(f"/tickets/{ticket.id}")).text
    assert "Likely causes" in page
    assert "Charger relay sticks" in page


async def test_the_workshop_always_knows(api: Api, ticket: Ticket):
    technician = await api.as_role(Role.technician)
    told = (await technician.get(f"/api/tickets/{ticket.id}/likely-causes")).json()["items"]
    assert [one["title"] for one in told] == ["Charger relay sticks"]


async def test_the_ticket_itself_tells_a_customer_nothing(api: Api, ticket: Ticket):
    await allow(api)
    customer, technician = await api.as_role(Role.fleet_customer), await api.as_role(Role.technician)
    shown = (await customer.get(f"/api/tickets/{ticket.id}")).json()
    listed = (await customer.get("/api/tickets")).json()["items"]
    for one in (shown, *listed):
        assert (one["suggested_failure_cards"], one["match_run_id"]) == ([], None)
    assert (await technician.get(f"/api/tickets/{ticket.id}")).json()["suggested_failure_cards"]


async def test_another_organisations_permission_is_of_no_use(api: Api, ticket: Ticket):
    with acting_as(system("test")):
        other = await Organisation(name="Fleet Two", show_likely_causes=True).insert()
    stranger = await api.as_role(Role.fleet_customer, organisation_id=other.id)
    assert (await stranger.get(f"/api/tickets/{ticket.id}/likely-causes")).status_code == 404


async def test_the_admin_switches_it_on_the_page_of_organisations(api: Api, ticket: Ticket):
    admin = await visitor(api, await api.add_user(Role.admin))
    data = {"csrf_token": await csrf_token(admin), "kind": "organisation", "id": api.organisation.id, "revision": "1"}
    data |= {"name": "Fleet One", "currency": "INR"}
    sent = await admin.post("/sites", data=data | {"show_likely_causes": "yes"})
    assert sent.status_code == 303, sent.text
    page = (await admin.get(f"/sites?edit={api.organisation.id}")).text
    assert 'name="show_likely_causes" value="yes" checked' in page
    with acting_as(actor_of(await api.add_user(Role.admin))):
        assert (await Organisation.get(api.organisation.id)).show_likely_causes
    await admin.post("/sites", data=data | {"revision": "2"})
    page = (await admin.get(f"/sites?edit={api.organisation.id}")).text
    assert 'name="show_likely_causes" value="yes" checked' not in page
