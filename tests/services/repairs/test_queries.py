"""Lists of repairs: split so that an index answers, whatever is combined, and still say the same."""

from datetime import timedelta
from itertools import combinations

import pytest

from app import clock
from app.database import connect, disconnect
from app.security import acting_as
from models import ALL_DOCUMENTS
from models.enums import Priority, TicketCategory, TicketStatus
from models.part import PartContent
from models.technician_action import ActionContent
from models.ticket import Resolution, TicketContent
from services.repairs import actions, stock, ticket_moves, tickets, usage
from services.repairs.queries import split
from services.repairs.tickets import INDEXES, TicketFilter
from services.repairs.visibility import load_visible
from tests.query_plans import watched

NARROWINGS = {
    "status": TicketStatus.open,
    "site_id": "site_a",
    "organisation_id": "org_a",
    "technician_id": "usr_a",
    "vehicle_id": "veh_a",
    "vehicle_make": "Ather",
    "vehicle_model": "450X",
    "card_id": "fc_a",
    "priority": Priority.high,
    "category": TicketCategory.charging,
    "since": clock.now() - timedelta(days=1),
}


@pytest.mark.parametrize("visible", [{}, {"site_id": "site_a"}, {"site_id": {"$in": ["a", "b"]}}, {"$or": [{"a": 1}]}])
def test_splitting_loses_no_condition(visible):
    for names in combinations(NARROWINGS, 3):
        wanted = TicketFilter(**{name: NARROWINGS[name] for name in names}).query()
        first, rest = split(visible, wanted, INDEXES)
        stated = [first, *rest.get("$and", [rest])]
        for name, value in [*visible.items(), *wanted.items()]:
            assert any(part.get(name) == value for part in stated), (visible, wanted, first, rest)
        assert tuple(name for name in first if name != "_id") in {(), *(tuple(fields) for fields in INDEXES)}


async def test_what_is_wanted_never_widens_what_is_visible(house):
    first, rest = split({"site_id": "site_a"}, {"site_id": "site_b", "status": "open"}, INDEXES)
    assert first == {"site_id": "site_b", "status": "open"}
    assert rest == {"site_id": "site_a"}


@pytest.fixture
async def watched_store(house, new_ticket, database_url, database_name):
    """The store with some tickets in it, opened anew so that its client is watched; yields it and the watch."""
    for _ in range(2):
        await new_ticket()
    await disconnect()
    with watched() as queries:
        yield await connect(database_url, database_name, ALL_DOCUMENTS), queries


async def test_lists_are_answered_from_indexes(house, watched_store):
    """Each list with each pair of its filters, by somebody who sees everything and by a technician of one site."""
    store, queries = watched_store
    for who in (house.admin, house.technician):
        with acting_as(who):
            first = await tickets.list_tickets(TicketFilter(), limit=1)
            assert first.next
            for names in combinations(NARROWINGS, 2):
                narrow = TicketFilter(**{name: NARROWINGS[name] for name in names})
                await tickets.list_tickets(narrow, after=first.next)
            for name in ("ticket_id", "technician_id", "card_id"):
                await actions.list_actions(**{name: "x"})
            for name in ("ticket_id", "part_id", "site_id", "status", "card_id"):
                await usage.list_usage(**{name: "x"}, after=first.next)
            for name in ("site_id", "part_number"):
                await stock.list_parts(**{name: "x"}, after=first.next)
    with acting_as(house.admin):
        scans = await queries.scans(store)
    # The newest of all, without any condition, are read off the collection itself.
    assert scans <= {"find tickets {}"}


async def test_work_on_a_ticket_reads_no_whole_collection(house, new_card, watched_store):
    store, queries = watched_store
    card = await new_card()
    with acting_as(house.technician):
        ticket = await tickets.create(TicketContent(title="Does not charge"))
        ticket = await ticket_moves.assign(ticket, house.technician.id)
        part = await stock.add_part(PartContent(part_name="Fuse", part_number="F"), site_id=house.site, quantity=5)
        taken = await usage.allocate(ticket.id, part.id, 2)
        await usage.settle(taken.id, usage.Settling.used, 1)
        await usage.settle(taken.id, usage.Settling.returned)
        content = ActionContent(
            ticket_id=ticket.id,
            resolution_outcome="success",
            failure_card_used=card.id,
            parts_used=[{"part_name": "Fuse", "usage_id": taken.id}],
        )
        await actions.record(content)
        ticket = await ticket_moves.resolve(await load_visible(ticket.id), Resolution(resolution="New fuse"))
        await ticket_moves.close(ticket)
        assert await queries.scans(store) == set()
