"""Correcting a ticket that others change at the same time, seen without a browser."""

import html
import re
from typing import Any

import httpx
import pytest

from app.security import Role, acting_as
from models.account import User
from models.ticket import Ticket, TicketContent
from services.accounts.sessions import actor_of
from services.repairs import ticket_moves, tickets
from services.repairs.visibility import load_visible
from tests.routes.portal.support import csrf_token, visitor
from tests.support import PASSWORD, Api

INPUT = re.compile(r'<input (?:id="\w+" name="(\w+)" type="\w+"|type="hidden" name="(\w+)") value="([^"]*)"')
AREA = re.compile(r'<textarea id="\w+" name="(\w+)"[^>]*>\n([^<]*)</textarea>')
CHOSEN = re.compile(r'name="(\w+)" value="(\w+)" checked')
SELECTED = re.compile(r'<select id="(\w+)"(?:(?!</select>).)*?<option value="(\w+)" selected', re.DOTALL)


@pytest.fixture
async def asha(api: Api) -> User:
    return await api.add_user(Role.technician)


@pytest.fixture
async def ticket(asha: User) -> Ticket:
    content = TicketContent(
        title="Beeps", vehicle_make="Ather", vehicle_year=2022, error_codes_reported=["SPN 3251 FMI 3", "P0A80"]
    )
    with acting_as(actor_of(asha)):
        return await tickets.create(content)


def fields_of(page: str) -> dict[str, str]:
    """What a browser would send of the form as it stands."""
    found = {one or other: value for one, other, value in INPUT.findall(page)}
    found |= dict(AREA.findall(page)) | dict(CHOSEN.findall(page)) | dict(SELECTED.findall(page))
    return {name: html.unescape(value) for name, value in found.items()}


class Form:
    """One person's form on the ticket, as it was opened."""

    def __init__(self, client: httpx.AsyncClient, ticket: Ticket) -> None:
        self.client, self.path = client, f"/tickets/{ticket.id}/edit"
        self.page = ""

    async def open(self) -> "Form":
        self.page = (await self.client.get(self.path)).text
        return self

    async def send(self, **typed: Any) -> int:
        token = await csrf_token(self.client)
        sent = await self.client.post(self.path, data=fields_of(self.page) | typed | {"csrf_token": token})
        self.page = sent.text or self.page
        return sent.status_code


async def form_of(api: Api, user: User, ticket: Ticket) -> Form:
    return await Form(await visitor(api, user), ticket).open()


async def now(user: User, ticket: Ticket) -> Ticket:
    with acting_as(actor_of(user)):
        return await load_visible(ticket.id)


async def test_what_is_not_touched_stays_and_who_corrected_what_is_kept(api: Api, asha: User, ticket: Ticket):
    form = await form_of(api, asha, ticket)
    assert await form.send(vehicle_year="", priority="high", description="Since\nMonday") == 303
    fresh = await now(asha, ticket)
    assert (fresh.title, fresh.vehicle_make, fresh.vehicle_year, fresh.priority) == ("Beeps", "Ather", None, "high")
    assert fresh.description == "Since\nMonday"
    assert fresh.error_codes_reported == ticket.error_codes_reported
    [correction] = fresh.corrections
    assert (correction.updated_by.id, set(correction.fields)) == (asha.id, {"vehicle_year", "priority", "description"})
    page = (await form.client.get(f"/tickets/{ticket.id}")).text
    assert "corrected: vehicle year, description, priority" in page


async def test_changes_of_different_fields_go_together(api: Api, asha: User, ticket: Ticket):
    colleague = await api.add_user(Role.technician)
    mine, theirs = await form_of(api, asha, ticket), await form_of(api, colleague, ticket)
    assert await theirs.send(vehicle_make="Ola", vehicle_model="S1") == 303
    with acting_as(actor_of(colleague)):
        await ticket_moves.assign(await load_visible(ticket.id), colleague.id)
    assert await mine.send(title="Beeps twice") == 303
    fresh = await now(asha, ticket)
    assert (fresh.title, fresh.vehicle_make, fresh.vehicle_model) == ("Beeps twice", "Ola", "S1")


async def test_both_are_offered_where_both_changed_the_same(api: Api, asha: User, ticket: Ticket):
    colleague = await api.add_user(Role.technician)
    mine, theirs = await form_of(api, asha, ticket), await form_of(api, colleague, ticket)
    await theirs.send(title="Hums <b>", vehicle_make="Ola", vehicle_model="S1")
    assert await mine.send(title="Whistles", vehicle_make="Bajaj", vehicle_year="2024") == 412
    assert f"{colleague.name} changed this ticket meanwhile" in mine.page
    for said in ("Hums &lt;b&gt;", "Whistles", "Beeps", "Ola", "Bajaj", "Ather"):
        assert said in mine.page
    assert "pick_vehicle_year" not in mine.page  # they left it alone
    assert "pick_vehicle_model" not in mine.page  # left alone here
    assert (await now(asha, ticket)).title == "Hums <b>"
    assert await mine.send(pick_title="mine") == 412  # one choice is missing
    assert await mine.send(pick_title="mine", pick_vehicle_make="theirs") == 303
    fresh = await now(asha, ticket)
    assert (fresh.title, fresh.vehicle_make, fresh.vehicle_model, fresh.vehicle_year) == ("Whistles", "Ola", "S1", 2024)


async def test_a_choice_counts_only_for_what_was_in_sight(api: Api, asha: User, ticket: Ticket):
    colleague = await api.add_user(Role.technician)
    mine, theirs = await form_of(api, asha, ticket), await form_of(api, colleague, ticket)
    await theirs.send(title="Hums")
    assert await mine.send(title="Whistles") == 412
    await (await theirs.open()).send(title="Rattles")
    assert await mine.send(pick_title="mine") == 412
    assert "Rattles" in mine.page
    assert await mine.send(pick_title="theirs") == 303
    assert (await now(asha, ticket)).title == "Rattles"


async def test_the_same_change_by_both_is_no_conflict(api: Api, asha: User, ticket: Ticket):
    mine, theirs = await form_of(api, asha, ticket), await form_of(api, asha, ticket)
    assert await theirs.send(title="Hums") == 303
    assert await mine.send(title="Hums") == 303
    assert len((await now(asha, ticket)).corrections) == 1


async def test_says_beside_the_field_what_is_wrong_and_keeps_what_was_typed(api: Api, asha: User, ticket: Ticket):
    form = await form_of(api, asha, ticket)
    assert await form.send(vehicle_year="1812", title="Whistles") == 422
    assert 'id="vehicle_year-error"' in form.page
    assert 'value="Whistles"' in form.page
    assert await form.send(vehicle_year="2023", error_codes_reported="nonsense!!") == 422
    assert 'id="error_codes_reported-error"' in form.page


async def test_a_customer_corrects_their_own_and_nobody_elses(api: Api, asha: User, ticket: Ticket):
    customer = await api.add_user(Role.fleet_customer)
    client = await visitor(api, customer)
    assert (await client.get(f"/tickets/{ticket.id}/edit")).status_code == 404
    with acting_as(actor_of(customer)):
        own = await tickets.create(TicketContent(title="No drive"))
    assert await (await form_of(api, customer, own)).send(vehicle_make="Ather") == 303
    assert (await now(customer, own)).vehicle_make == "Ather"


async def test_a_form_kept_over_a_sign_in_shows_what_was_typed_and_no_more(api: Api, asha: User, ticket: Ticket):
    client = await visitor(api, asha)
    form = await Form(client, ticket).open()
    del client.cookies["efi_session"]
    page = (await client.get("/sign-in")).text
    token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', page)
    assert token is not None
    kept = fields_of(form.page) | {"title": "Beeps when wet"}
    signing_in = {"csrf_token": token[1], "email": asha.email, "password": PASSWORD, "next": form.path}
    names = {"kept_name": list(kept), "kept_value": list(kept.values())}
    offered = (await client.post("/sign-in", data=signing_in | names)).text
    assert "<dt>title</dt><dd" in offered
    assert "Beeps when wet" in offered
    assert "<dt>was title" not in offered
    assert '<input type="hidden" name="was_title" value="Beeps">' in offered
