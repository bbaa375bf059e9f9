"""The learning loop on a real store: people, services, the processor with its handlers, the live index."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from app import database
from app.database import GuardedDatabase
from app.security import Actor, Role, acting_as, system
from models.account import Site, User
from models.enums import EventStatus, FailureMode, ResolutionOutcome, SubsystemCategory, TicketStatus
from models.event import EfiEvent
from models.failure_card import CardContent, FailureCard
from models.symptom import SymptomContent
from models.technician_action import ActionContent, ActionPart, AttemptedDiagnostic, TechnicianAction
from models.ticket import Resolution, Ticket, TicketContent
from models.types import Measurement
from services.accounts.sessions import actor_of
from services.diagnosis import matches
from services.diagnosis.live_index import LiveIndex
from services.events.processor import Processor
from services.knowledge import cards, lifecycle, symptoms
from services.repairs import actions, ticket_moves, tickets
from services.workflows import HANDLERS
from services.workflows.rights import RIGHTS

RETURN_WINDOW = timedelta(days=30)


DISCOVERY: dict[str, Any] = {
    "new_failure_discovered": True,
    "new_failure_description": "Charging port latch sensor corroded by water. It reads open though the plug is locked.",
    "new_failure_root_cause": "Water ingress through a cracked gasket corrodes the latch sensor.",
    "new_failure_resolution": "Replaced the latch sensor and the gasket.",
    "observations": ["green deposit on the sensor pins", "gasket cracked at the lower edge"],
    "measurements": [Measurement(quantity="resistance", value=2.4, unit="MΩ", point="latch sensor pins 1-2")],
    "attempted_diagnostics": [
        AttemptedDiagnostic(
            hypothesis="latch sensor",
            check_performed="Measure the sensor with the plug locked",
            result="open instead of below 5 Ω",
            confirmed=True,
            tools_used=["multimeter"],
        ),
        AttemptedDiagnostic(check_performed="Check the pilot line", result="fine", confirmed=False),
    ],
    "resolution_steps_followed": ["Isolate the HV system", "Replace sensor and gasket"],
    "parts_used": [ActionPart(part_name="Latch sensor", part_number="LS-20"), ActionPart(part_name="Gasket")],
    "resolution_time_minutes": 45,
    "diagnostic_time_minutes": 30,
}
"""What an action says of a failure that no card describes."""


class Workshop:
    """What people do in a workshop, in one line each. Everybody acts as themselves."""

    def __init__(self, site: Site, technician: Actor, expert: Actor, second_expert: Actor) -> None:
        self.site = site
        self.technician = technician
        self.expert = expert
        self.second_expert = second_expert
        self.processor = Processor(HANDLERS, first_delay=timedelta(milliseconds=1), max_attempts=3)

    async def approved_card(self, title: str = "BMS cell balancing circuit failure", **content: Any) -> FailureCard:
        whole = {
            "title": title,
            "subsystem_category": SubsystemCategory.bms,
            "failure_mode": FailureMode.degradation,
            **content,
        }
        with acting_as(self.expert):
            card = await lifecycle.submit(await cards.create(CardContent(**whole)))
        with acting_as(self.second_expert):
            return await lifecycle.approve(card)

    async def ticket(self, title: str = "Does not charge beyond 80 %", **content: Any) -> Ticket:
        with acting_as(self.technician):
            return await tickets.create(TicketContent(title=title, **content))

    async def action(self, ticket: Ticket, **content: Any) -> TechnicianAction:
        whole = {"resolution_outcome": ResolutionOutcome.success, **content}
        with acting_as(self.technician):
            return await actions.record(ActionContent(ticket_id=ticket.id, **whole))

    async def resolve(self, ticket: Ticket, **resolution: Any) -> Ticket:
        with acting_as(self.technician):
            fresh = await self.fresh(ticket)
            if fresh.status is TicketStatus.open:
                fresh = await ticket_moves.progress(fresh, TicketStatus.in_progress)
            return await ticket_moves.resolve(fresh, Resolution(**{"resolution": "done", **resolution}))

    async def reopen(self, ticket: Ticket, window: timedelta = RETURN_WINDOW) -> Ticket:
        async def work() -> Ticket:
            return await ticket_moves.reopen(await self.fresh(ticket), "it is back", return_window=window)

        with acting_as(self.technician):
            return await database.in_transaction(work)

    async def fresh(self, record: Any) -> Any:
        with acting_as(system("test")):
            found = await type(record).get(record.id)
        assert found is not None
        return found

    async def settle(self) -> None:
        """Work through every event, those that follow from others too. No handler may fail."""
        while (await self.processor.process_pending(500)).total:
            pass
        with acting_as(system("test")):
            unfinished = await EfiEvent.find({"status": {"$ne": EventStatus.processed}}).to_list()
        assert not [(event.event_type, event.status, event.error) for event in unfinished]


@pytest.fixture
async def workshop(store: GuardedDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Workshop]:
    """Agents have the rights that the service gives them, and no others."""
    monkeypatch.setattr(database.guard, "policy", RIGHTS)
    with acting_as(system("test")):
        site = await Site(name="Pune").insert()

        async def person(name: str, role: Role, **fields: Any) -> Actor:
            user = User(email=f"{name}@example.com", name=name, roles=[role], password_hash="-", **fields)
            return actor_of(await user.insert())

        workshop = Workshop(
            site,
            await person("asha", Role.technician, site_ids=[site.id]),
            await person("gita", Role.expert),
            await person("hema", Role.expert),
        )
        await symptoms.create(
            SymptomContent(
                symptom_code="SYM_CHRG_001",
                name="Charging stops early",
                category=SubsystemCategory.charger,
                synonyms=["does not charge beyond 80 %", "stops charging"],
            )
        )
        live = LiveIndex(poll_seconds=0.2)
        await live.start()
    matches.serve(live)
    yield workshop
    matches.serve(None)
    await live.stop()


@pytest.fixture
def seeing() -> Iterator[None]:
    """Reads as the system."""
    with acting_as(system("test")):
        yield
