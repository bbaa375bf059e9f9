from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from app.database import GuardedDatabase, connect, disconnect
from app.security import Actor, Role, acting_as, system
from models import ALL_DOCUMENTS
from models.account import Organisation, Site, User
from models.enums import FailureMode, SubsystemCategory
from models.event import EfiEvent
from models.failure_card import FailureCard
from models.ticket import Ticket, TicketContent
from services.accounts.sessions import actor_of
from services.repairs import tickets


@pytest.fixture
async def store(database_url: str, database_name: str) -> AsyncIterator[GuardedDatabase]:
    """Every collection of the service, empty."""
    yield await connect(database_url, database_name, ALL_DOCUMENTS)
    await disconnect()


@pytest.fixture
async def house(store: GuardedDatabase) -> SimpleNamespace:
    """Two workshops, two fleets, and the people of each as actors; everything starts as the first technician."""
    with acting_as(system("test")):
        sites = [await Site(name=name).insert() for name in ("Pune", "Chennai")]
        fleets = [await Organisation(name=name).insert() for name in ("Green Fleet", "Blue Fleet")]

        async def person(name: str, role: Role, **fields: Any) -> Actor:
            user = User(email=f"{name}@example.com", name=name, roles=[role], password_hash="-", **fields)
            return actor_of(await user.insert())

        return SimpleNamespace(
            site=sites[0].id,
            other_site=sites[1].id,
            fleet=fleets[0].id,
            technician=await person("asha", Role.technician, site_ids=[sites[0].id]),
            elsewhere=await person("bala", Role.technician, site_ids=[sites[1].id]),
            both_sites=await person("chitra", Role.technician, site_ids=[site.id for site in sites]),
            customer=await person("devi", Role.fleet_customer, organisation_id=fleets[0].id),
            other_customer=await person("esha", Role.fleet_customer, organisation_id=fleets[1].id),
            admin=await person("farah", Role.admin),
            expert=await person("gita", Role.expert),
            oem=await person("hari", Role.oem),
        )


@pytest.fixture
def new_ticket(house: SimpleNamespace) -> Callable[..., Awaitable[Ticket]]:
    """Makes tickets as the technician of the first site, unless another actor is given."""

    async def make(*, actor: Actor | None = None, **fields: Any) -> Ticket:
        with acting_as(actor or house.technician):
            return await tickets.create(TicketContent(**{"title": "Does not charge"} | fields))

    return make


@pytest.fixture
def new_card(house: SimpleNamespace) -> Callable[..., Awaitable[FailureCard]]:
    async def make(**fields: Any) -> FailureCard:
        content = {
            "title": "BMS cell balancing failure",
            "subsystem_category": SubsystemCategory.bms,
            "failure_mode": FailureMode.degradation,
        }
        with acting_as(system("test")):
            return await FailureCard(**content | fields).insert()

    return make


@pytest.fixture
def events_of(house: SimpleNamespace) -> Callable[[str], Awaitable[list[EfiEvent]]]:
    """The events of a ticket, in order."""

    async def read(ticket_id: str) -> list[EfiEvent]:
        with acting_as(system("test")):
            return await EfiEvent.find({"data.ticket_id": ticket_id}).sort([("_id", 1)]).to_list()

    return read
