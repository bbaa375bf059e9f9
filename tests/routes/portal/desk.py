"""A technician at a ticket, without a browser, and cards that guided diagnosis can tell apart."""

import html
import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.security import Role, acting_as, system
from models.account import User
from models.diagnosis import SessionStep
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, DiagnosticTree, FailureCard
from models.technician_action import TechnicianAction
from models.ticket import Ticket, TicketContent
from services.accounts.sessions import actor_of
from services.diagnosis.guided import sessions
from services.knowledge.loading import upsert_by_natural_key
from services.repairs import actions, tickets
from tests.routes.portal.support import csrf_token, visitor
from tests.services.diagnosis.guided_samples import chain, leaf
from tests.support import Api

WARNING = "Cells cannot be switched off: insulated tools, no rings."
SPREAD = "Is the resting spread between the cell groups above 50 mV?"
SAG = "Does one group sag more than the others on full throttle?"
HIDDEN = re.compile(r'<input type="hidden" name="(revision|once|test_id)" value="([^"]*)"')


def card(title: str, tree: DiagnosticTree, *, cost: str) -> CardContent:
    return CardContent(
        title=title,
        subsystem_category=SubsystemCategory.bms,
        failure_mode=FailureMode.degradation,
        symptom_text="Charging stops at 80 percent, range is short",
        error_codes=["P0A80"],
        diagnostic_tree=tree,
        required_parts=[{"part_name": title, "part_number": title}],
        estimated_total_cost=cost,
        universal_failure=True,
    )


def costly() -> list[tuple[str, CardContent]]:
    """Two suspects that are too dear to be repaired on trial, and told apart by one reading."""
    weak = chain(SPREAD, SAG, minutes=10)
    weak.nodes[1].safety_warnings = [WARNING]
    end = leaf(SPREAD.replace("above", "below"), duration_minutes=10)
    return [
        ("weak", card("Weak cell group", weak, cost="40000")),
        ("charger", card("Charger ends early", end, cost="50000")),
    ]


@dataclass
class Desk:
    """A technician at a ticket, and the page before them."""

    api: Api
    user: User
    client: httpx.AsyncClient
    token: str
    ticket: Ticket
    session_id: str = ""
    page: str = ""
    status: int = 0
    hidden: dict[str, str] = field(default_factory=dict)

    async def open(self, path: str) -> str:
        self._take(await self.client.get(path))
        return self.page

    async def send(self, path: str, **fields: Any) -> str:
        """Send a form as the page holds it, and follow where it leads."""
        sent = await self.client.post(path, data={"csrf_token": self.token} | self.hidden | fields)
        if sent.status_code == 303:
            return await self.open(sent.headers["location"])
        self._take(sent)
        return self.page

    async def begin(self, **fields: Any) -> str:
        return await self.send(f"/tickets/{self.ticket.id}/diagnosis", **fields)

    async def answer(self, answer: str, **fields: Any) -> str:
        return await self.send(f"{self.session_path}/answers", answer=answer, **fields)

    @property
    def session_path(self) -> str:
        return f"/tickets/{self.ticket.id}/diagnosis/{self.session_id}"

    def _take(self, answer: httpx.Response) -> None:
        self.status, self.page = answer.status_code, html.unescape(answer.text)
        if found := re.search("/diagnosis/([^/]+)", answer.url.path):
            self.session_id = found[1]
        self.hidden = dict(HIDDEN.findall(answer.text))

    async def steps(self) -> list[SessionStep]:
        with acting_as(actor_of(self.user)):
            return (await sessions.get(self.session_id)).steps

    async def recorded(self) -> list[TechnicianAction]:
        with acting_as(actor_of(self.user)):
            return (await actions.list_actions(ticket_id=self.ticket.id)).items


async def know(cards: list[tuple[str, CardContent]]) -> dict[str, FailureCard]:
    with acting_as(system("test")):
        await upsert_by_natural_key(cards)
        return {found.natural_key or "": found async for found in FailureCard.find()}


async def desk_at(api: Api, user: User, ticket: Ticket) -> Desk:
    client = await visitor(api, user)
    return Desk(api, user, client, await csrf_token(client), ticket)


async def new_desk(api: Api) -> Desk:
    """A technician with a new ticket at which the costly cards aim."""
    user = await api.add_user(Role.technician)
    with acting_as(actor_of(user)):
        content = TicketContent(
            title="Charging stops at 80 percent",
            description="Range is short",
            error_codes_reported=["P0A80"],
            vehicle_make="Ather",
        )
        ticket = await tickets.create(content)
    return await desk_at(api, user, ticket)


def uneven(desk: Desk) -> str:
    """The answer that says the groups are far apart, whichever way the question is put."""
    return "yes" if "above 50 mV" in re.findall(r"<h1>(.*?)</h1>", desk.page)[0] else "no"
