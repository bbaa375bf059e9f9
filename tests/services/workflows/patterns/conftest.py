"""Simulated streams of tickets in the store, and detection with the rights of its agent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from app import clock
from app.ids import id_at
from app.security import acting_as, system
from benchmarks.ticket_stream import Simulated, Stream
from models.enums import TicketStatus
from models.failure_card import FailureCard
from models.incident import Incident, IncidentTicket
from models.ticket import Ticket
from services.diagnosis import matches
from services.workflows.patterns.detection import Detection, Detector, Policy
from services.workflows.patterns.reading import Period
from tests.services.workflows.conftest import Workshop

DAYS = 200
POLICY = Policy(Period(window=30, baseline=365, most=10_000), least_vehicles=4, false_discovery_rate=0.01)


@dataclass
class Emergence:
    """A workshop with ordinary tickets of DAYS days, and what is added to them."""

    workshop: Workshop
    stream: Stream
    detector: Detector
    begin: datetime

    async def add(self, simulated: Sequence[Simulated], **fields: Any) -> list[str]:
        """Store tickets at their days; returns their ids."""
        tickets = [self._ticket(one, fields) for one in simulated]
        with acting_as(system("test")):
            for start in range(0, len(tickets), 200):
                await Ticket.insert_many(tickets[start : start + 200])
        return [ticket.id for ticket in tickets]

    async def emerging(self, count: int, *, start: float = DAYS - 20, within: float = 19.0, **fields: Any) -> list[str]:
        return await self.add(self.stream.emerging(count, start=start, within=within), **fields)

    async def detect(self) -> Detection:
        """As the timer does it; what follows from its events is done, too."""
        with acting_as(system("timer:patterns")):
            found = await self.detector.detect()
        await self.workshop.settle()
        return found

    async def incidents(self) -> list[Incident]:
        with acting_as(system("test")):
            return await Incident.find({}).sort([("_id", 1)]).to_list()

    async def tickets_of(self, incident: Incident) -> set[str]:
        with acting_as(system("test")):
            return {one.id for one in await IncidentTicket.find({"incident_id": incident.id}).to_list()}

    async def card_of(self, incident: Incident) -> FailureCard:
        with acting_as(system("test")):
            card = await FailureCard.find_one({"_id": incident.card_id})
        assert card is not None
        return card

    def _ticket(self, one: Simulated, fields: dict[str, Any]) -> Ticket:
        at = self.begin + timedelta(days=one.day)
        title, _, description = one.text.partition(". ")
        content: dict[str, Any] = {
            "title": title,
            "description": description,
            "vehicle_make": one.make,
            "vehicle_model": one.model,
            "vehicle_firmware": one.firmware,
            "error_codes_reported": list(one.codes),
            "site_id": self.workshop.site.id,
            "ai_match_performed": True,
            "suggested_failure_cards": [] if one.unexplained else ["fc_known"],
            "status": TicketStatus.open,
            "created_at": at,
            "updated_at": at,
        }
        return Ticket(id=id_at("ticket", at), **(content | fields))


@pytest.fixture
async def emergence(workshop: Workshop) -> Emergence:
    stream = Stream(3, per_day=2, days=DAYS)
    begin = clock.now() - timedelta(days=DAYS, minutes=1)
    made = Emergence(workshop, stream, Detector(matches.serving(), POLICY), begin)
    await made.add(stream.ordinary())
    return made
