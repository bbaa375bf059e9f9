"""Taking tickets in, correcting them, and who sees which."""

from datetime import timedelta

import pytest

from app import clock
from app.errors import Forbidden, Invalid, NotFound, Stale
from app.security import acting_as, system
from models.account import User
from models.enums import TicketStatus, VehicleType
from models.ticket import Ticket, TicketContent
from models.vehicle import Vehicle
from services.accounts.sessions import actor_of
from services.repairs import ticket_moves, tickets
from services.repairs.tickets import TicketFilter, TicketIsClosed
from services.repairs.visibility import load_visible


@pytest.fixture
async def scooter(house) -> Vehicle:
    with acting_as(system("test")):
        return await Vehicle(
            vehicle_type=VehicleType.two_wheeler,
            make="Ather",
            model="450X",
            year=2023,
            registration="MH12AB1234",
            firmware="5.1.0",
            mileage_km=12_500,
            organisation_id=house.fleet,
        ).insert()


async def test_a_known_vehicle_fills_what_was_left_empty(house, new_ticket, scooter):
    ticket = await new_ticket(vehicle_id=scooter.id, vehicle_mileage_km=13_000)

    assert (ticket.vehicle_make, ticket.vehicle_model, ticket.vehicle_year) == ("Ather", "450X", 2023)
    assert (ticket.vehicle_number, ticket.vehicle_firmware) == ("MH12AB1234", "5.1.0")
    assert ticket.vehicle_type is VehicleType.two_wheeler
    assert ticket.vehicle_mileage_km == 13_000
    assert ticket.organisation_id == house.fleet


async def test_creation_writes_history_and_event_together(house, new_ticket, events_of):
    ticket = await new_ticket()

    assert ticket.status is TicketStatus.open
    assert [(entry.status, entry.updated_by.id) for entry in ticket.status_history] == [("open", house.technician.id)]
    [event] = await events_of(ticket.id)
    assert (event.event_type, event.actor.id, event.site_id) == ("ticket.created", house.technician.id, house.site)


async def test_codes_are_kept_in_one_notation_and_once(new_ticket):
    ticket = await new_ticket(error_codes_reported=["p0a80", "P0A80", " spn 3251 fmi 3 "])

    assert ticket.error_codes_reported == ["P0A80", "SPN 3251 FMI 3"]


async def test_illegal_codes_are_named_by_place_and_nothing_is_written(house, new_ticket):
    with pytest.raises(Invalid) as caught:
        await new_ticket(error_codes_reported=["P0A80", "P9A80", "SPN 9999999 FMI 3"])

    assert [error["field"] for error in caught.value.extra["errors"]] == [
        "error_codes_reported.1",
        "error_codes_reported.2",
    ]
    with acting_as(house.admin):
        assert await Ticket.find({}).to_list() == []


async def test_a_customers_ticket_is_their_organisations_whatever_they_name(house, new_ticket):
    with acting_as(house.customer):
        ticket = await tickets.create(TicketContent(title="Brakes squeal"), organisation_id="org_somebody_else")

    assert (ticket.organisation_id, ticket.site_id) == (house.fleet, None)


async def test_a_customer_without_organisation_is_told_so(house):
    with acting_as(system("test")):
        user = await User(email="x@example.com", name="x", roles=["fleet_customer"], password_hash="-").insert()
    with acting_as(actor_of(user)), pytest.raises(Forbidden, match="no organisation"):
        await tickets.create(TicketContent(title="Brakes squeal"))


async def test_a_customer_cannot_name_another_fleets_vehicle(house, new_ticket, scooter):
    with pytest.raises(Invalid) as caught:
        await new_ticket(actor=house.other_customer, vehicle_id=scooter.id)
    assert caught.value.extra["errors"][0]["field"] == "vehicle_id"

    assert (await new_ticket(actor=house.customer, vehicle_id=scooter.id)).vehicle_make == "Ather"


async def test_a_technician_of_several_sites_names_one(house):
    content = TicketContent(title="Brakes squeal")
    with acting_as(house.both_sites):
        with pytest.raises(Invalid, match="one of your own sites"):
            await tickets.create(content)
        assert (await tickets.create(content, site_id=house.other_site)).site_id == house.other_site
    with acting_as(house.technician), pytest.raises(Invalid, match="one of your own sites"):
        await tickets.create(content, site_id=house.other_site)


@pytest.mark.parametrize("field", ["site_id", "organisation_id"])
async def test_ids_that_name_nothing_are_refused(house, field):
    with acting_as(house.admin), pytest.raises(Invalid) as caught:
        await tickets.create(TicketContent(title="Brakes squeal"), **{field: "x_nothing"})
    assert caught.value.extra["errors"][0]["field"] == field


async def test_editing_writes_only_what_changed_and_advances_the_revision(house, new_ticket):
    ticket = await new_ticket(description="No light at the port")
    with acting_as(house.technician):
        edited = await tickets.edit(ticket, {"title": "No charge at all", "description": ""}, revision=1)
        same = await tickets.edit(edited, {"title": "No charge at all"}, revision=2)

    assert (edited.title, edited.description, edited.revision) == ("No charge at all", "", 2)
    assert edited.updated_at >= ticket.updated_at
    assert same.revision == 2


async def test_editing_refuses_an_old_revision_and_an_empty_title(house, new_ticket):
    ticket = await new_ticket()
    with acting_as(house.technician):
        await tickets.edit(ticket, {"title": "No charge at all"}, revision=1)
        with pytest.raises(Stale):
            await tickets.edit(ticket, {"title": "Something else"}, revision=1)
        fresh = await load_visible(ticket.id)
        with pytest.raises(Stale):
            await tickets.edit(fresh, {"title": "Something else"}, revision=1)
        with pytest.raises(Invalid) as caught:
            await tickets.edit(fresh, {"title": None}, revision=2)
    assert caught.value.extra["errors"][0]["field"] == "title"


async def test_naming_another_vehicle_later_fills_in_too(house, new_ticket, scooter):
    ticket = await new_ticket(vehicle_make="ATHER")
    with acting_as(house.technician):
        edited = await tickets.edit(ticket, {"vehicle_id": scooter.id}, revision=1)
    assert (edited.vehicle_make, edited.vehicle_model) == ("ATHER", "450X")


async def test_a_closed_ticket_is_not_edited(house, new_ticket):
    with acting_as(house.technician):
        ticket = await ticket_moves.progress(await new_ticket(), TicketStatus.in_progress)
        ticket = await ticket_moves.resolve(ticket, ticket_moves.Resolution(resolution="Replaced the fuse"))
        ticket = await ticket_moves.close(ticket)
        with pytest.raises(TicketIsClosed):
            await tickets.edit(ticket, {"title": "Something else"}, revision=ticket.revision)


async def test_everybody_sees_exactly_their_own(house, new_ticket):
    at_site = await new_ticket()
    at_other = await new_ticket(actor=house.elsewhere)
    of_fleet = await new_ticket(actor=house.customer)
    everything = {at_site.id, at_other.id, of_fleet.id}
    seen = {
        "technician": {at_site.id},
        "elsewhere": {at_other.id},
        "both_sites": {at_site.id, at_other.id},
        "customer": {of_fleet.id},
        "other_customer": set(),
        "oem": set(),
        "expert": everything,
        "admin": everything,
    }
    for name, expected in seen.items():
        with acting_as(getattr(house, name)):
            listed = {ticket.id for ticket in (await tickets.list_tickets(TicketFilter())).items}
            loaded = set()
            for ticket_id in everything:
                try:
                    loaded.add((await load_visible(ticket_id)).id)
                except NotFound:
                    continue
        assert (listed, loaded) == (expected, expected), name


async def test_naming_another_site_in_a_filter_opens_nothing(house, new_ticket):
    await new_ticket()
    with acting_as(house.elsewhere):
        assert (await tickets.list_tickets(TicketFilter(site_id=house.site))).items == []


async def test_filters_narrow(house, new_ticket):
    wanted = await new_ticket(vehicle_make="Ola", vehicle_model="S1 Pro", priority="critical", category="charging")
    await new_ticket(vehicle_make="Ola", vehicle_model="S1 Air")
    with acting_as(house.technician):
        await ticket_moves.assign(wanted, house.technician.id)
        for narrow in (
            TicketFilter(vehicle_make="Ola", vehicle_model="S1 Pro"),
            TicketFilter(priority="critical"),
            TicketFilter(category="charging"),
            TicketFilter(technician_id=house.technician.id, status=TicketStatus.open),
        ):
            assert [ticket.id for ticket in (await tickets.list_tickets(narrow)).items] == [wanted.id], narrow


async def test_pages_and_times(house, new_ticket):
    made = [await new_ticket() for _ in range(5)]
    with acting_as(house.technician):
        first = await tickets.list_tickets(TicketFilter(), limit=2)
        second = await tickets.list_tickets(TicketFilter(), limit=2, after=first.next)
        last = await tickets.list_tickets(TicketFilter(), limit=2, after=second.next)
        paged = [ticket.id for page in (first, second, last) for ticket in page.items]
        assert paged == [ticket.id for ticket in reversed(made)]
        assert last.next is None

        middle = made[2].created_at
        since = {ticket.id for ticket in (await tickets.list_tickets(TicketFilter(since=middle))).items}
        until = {ticket.id for ticket in (await tickets.list_tickets(TicketFilter(until=middle))).items}
        assert since.isdisjoint(until)
        assert since | until == set(paged)
        assert made[2].id in since
        future = TicketFilter(since=clock.now() + timedelta(days=1))
        assert (await tickets.list_tickets(future)).items == []


async def test_pages_of_a_technician_with_several_sites(house, new_ticket):
    """Two ranges at once, of sites and of ids: nothing is lost or doubled at the seam."""
    made = [await new_ticket(actor=actor) for actor in (house.technician, house.elsewhere) * 3]
    await new_ticket(actor=house.customer)
    with acting_as(house.both_sites):
        paged, after = [], None
        while True:
            page = await tickets.list_tickets(TicketFilter(priority="medium"), limit=2, after=after)
            paged += [ticket.id for ticket in page.items]
            if (after := page.next) is None:
                break
    assert paged == [ticket.id for ticket in reversed(made)]
