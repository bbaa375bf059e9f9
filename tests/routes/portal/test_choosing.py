"""Choosing one of many without a script, and who finds what."""

import html
import re

from app.security import Role, acting_as, system
from models.account import Organisation
from models.ticket import Ticket
from models.vehicle import Vehicle
from tests.routes.portal.many import fill
from tests.routes.portal.support import csrf_token, visitor
from tests.support import Api


async def test_without_a_script_a_button_finds_and_saves_nothing(api: Api):
    await fill(api, 100)
    customer = await api.add_user(Role.fleet_customer)
    client = await visitor(api, customer)
    blank = html.unescape((await client.get("/tickets/new")).text)
    assert "MH12AB" not in blank
    assert 'value="find-vehicle_id" formnovalidate' in blank
    form = {"csrf_token": await csrf_token(client), "title": "Belt squeals", "vehicle_id_find": "ab 0034"}
    found = await client.post("/tickets/new", data=form | {"step": "find-vehicle_id"})
    assert found.status_code == 200
    assert "MH12AB0034" in found.text
    assert 'value="Belt squeals"' in found.text
    with acting_as(system("test")):
        assert await Ticket.find_one() is None
        chosen = await Vehicle.find_one({"registration": "MH12AB0034"})
    assert chosen is not None
    # What was chosen stays when something else is looked for.
    again = form | {"vehicle_id": chosen.id, "vehicle_id_find": "0007", "step": "find-vehicle_id"}
    page = (await client.post("/tickets/new", data=again)).text
    assert re.search(f'value="{chosen.id}" checked', page)
    assert "MH12AB0007" in page
    # Words that lead to one vehicle only are choice enough; others are asked about beside the field.
    vague = await client.post("/tickets/new", data=form | {"vehicle_id_find": "MH12AB00"})
    assert vague.status_code == 422
    assert 'id="vehicle_id-error">Several match; choose one.' in vague.text
    assert "MH12AB00" in vague.text
    wrong = await client.post("/tickets/new", data=form | {"vehicle_id_find": "KA01"})
    assert 'id="vehicle_id-error">Nothing matches.' in wrong.text
    assert (await client.post("/tickets/new", data=form)).status_code == 303
    with acting_as(system("test")):
        ticket = await Ticket.find_one()
        await Ticket.get_pymongo_collection().delete_many({})
    assert ticket is not None
    assert ticket.vehicle_number == "MH12AB0034"
    # Whoever says "none of these" is taken at their word.
    assert (await client.post("/tickets/new", data=form | {"vehicle_id": ""})).status_code == 303
    with acting_as(system("test")):
        ticket = await Ticket.find_one()
    assert ticket is not None
    assert ticket.vehicle_number == ""


async def test_the_key_enter_in_another_field_sends_the_form(api: Api):
    """Browsers press the first button of a form, which may be the one that finds."""
    await fill(api, 100)
    client = await visitor(api, await api.add_user(Role.fleet_customer))
    form = {"csrf_token": await csrf_token(client), "title": "Belt squeals", "step": "find-vehicle_id"}
    assert (await client.post("/tickets/new", data=form | {"vehicle_id_find": ""})).status_code == 303


async def test_nobody_finds_what_is_not_theirs(api: Api):
    await fill(api, 100)
    with acting_as(system("test")):
        other = Organisation(name="Other fleet")
        await other.insert()
        foreign = Vehicle(
            vehicle_type="two_wheeler", make="Ola", model="S1", registration="KA01ZZ9999", organisation_id=other.id
        )
        await foreign.insert()
    customer = await visitor(api, await api.add_user(Role.fleet_customer))
    assert "KA01" not in (await customer.get("/pick/vehicles", params={"name": "vehicle_id", "q": "KA01"})).text
    chosen = {"name": "vehicle_id", "q": "x", "chosen": foreign.id}
    assert "KA01" not in (await customer.get("/pick/vehicles", params=chosen)).text
    technician = await visitor(api, await api.add_user(Role.technician))
    assert "KA01ZZ9999" in (await technician.get("/pick/vehicles", params={"name": "vehicle_id", "q": "ka01"})).text
    elsewhere = await visitor(api, await api.add_user(Role.technician, site_ids=[]))
    asked = {"site": api.site.id, "name": "part_id", "q": "relay"}
    assert "Relay" not in (await elsewhere.get("/pick/parts", params=asked)).text
    assert "Relay" in (await technician.get("/pick/parts", params=asked)).text
    assert "Branch" not in (await technician.get("/pick/sites", params={"name": "site_id", "q": "branch"})).text
    hostile = {"name": '"><b>', "q": '"><script>', "chosen": "((("}
    shown = (await technician.get("/pick/vehicles", params=hostile)).text
    assert "<script>" not in shown
    assert "<b>" not in shown


async def test_an_admin_chooses_workshops_and_organisation_of_an_account(api: Api):
    await fill(api, 100)
    client = await visitor(api, await api.add_user(Role.admin))
    person = await api.add_user(Role.technician)
    token, path = await csrf_token(client), f"/users/{person.id}"
    page = (await client.get(path)).text
    assert f'value="{api.site.id}" checked' in page
    form = {
        "csrf_token": token,
        "revision": "1",
        "name": person.name,
        "email": person.email,
        "roles": ["technician"],
        "site_ids": [api.site.id],
        "organisation_id_find": "fleet 0003",
    }
    found = (await client.post(path, data=form | {"site_ids_find": "0042", "step": "find-site_ids"})).text
    assert "Branch 0042" in found
    assert f'value="{api.site.id}" checked' in found
    branch = re.search(r'value="(site_[^"]+)"><bdi>Branch 0042', found)
    assert branch is not None
    saved = await client.post(path, data=form | {"site_ids": [api.site.id, branch[1]]})
    assert saved.status_code == 303, saved.text
    page = (await client.get(path)).text
    assert "Branch 0042" in page
    assert re.search(r"checked><bdi>Fleet 0003", page)
