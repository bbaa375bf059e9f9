"""Every list as a file: the same rows as on the page, for the same people, and nothing that runs in a spreadsheet."""

import csv
import io
from typing import Any

import httpx
import pytest

from app.ids import new_id
from app.security import Role, acting_as, system
from models.ticket import Ticket, TicketContent
from routes.portal.permissions import PAGES
from services.accounts.sessions import actor_of
from services.repairs import ticket_moves, tickets
from tests.routes.portal import care
from tests.routes.portal.support import visitor
from tests.support import Api

FORMULA = "=HYPERLINK(0)"


async def table(client: httpx.AsyncClient, path: str) -> list[dict[str, str]]:
    answer = await client.get(path)
    assert answer.headers["content-type"].startswith("text/csv"), (path, answer.status_code)
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_a_file_is_for_those_whom_the_page_is_for():
    pages = {row: roles for row, roles in PAGES.items() if row.endswith(".csv")}
    beside = {
        "GET /organisations.csv": "GET /sites",
        "GET /confidence/trust.csv": "GET /confidence",
        "GET /cards/{card_id}/evidence.csv": "GET /cards/{card_id}",
        "GET /cards/{card_id}/versions.csv": "GET /cards/{card_id}/compare",
        "GET /health/incidents/{incident_id}/tickets.csv": "GET /health/incidents/{incident_id}",
    }
    assert len(pages) > len(beside)
    for row, roles in pages.items():
        assert roles == PAGES[beside.get(row, row.removesuffix(".csv"))], row


async def test_every_list_of_what_is_there(api: Api):
    admin, technician = await api.add_user(Role.admin), await api.add_user(Role.technician)
    card = await care.approved(title=FORMULA)
    await care.proposed(card, technician, severity="critical")
    await care.flagged(await care.approved(title="Another"), technician, FORMULA)
    await care.due(card)
    await care.phrase()
    incident = await care.incident()
    await care.trainings()
    client = await visitor(api, admin)
    expected: dict[str, dict[str, Any]] = {
        "/knowledge.csv?state=approved": {"title": {f"'{FORMULA}", "Another"}, "version": {"1"}},
        "/knowledge.csv?q=does+not+charge+beyond": {"failure_id": {card.id}},
        f"/cards/{card.id}/evidence.csv": {"variant": {"*"}},
        f"/cards/{card.id}/versions.csv": {"version": {"1"}},
        "/reviews.csv": {"title": {incident.title}},
        "/users.csv": {"user_id": {admin.id, technician.id}},
        "/sites.csv": {"name": {api.site.name}},
        "/organisations.csv": {"name": {api.organisation.name}},
        "/events.csv?kind=card.approved": {"event_type": {"card.approved"}},
        "/settings.csv": {"name": {"EFI_RETURN_WINDOW_DAYS"}},
        "/confidence.csv": {"section": {"by_level"}},
        "/confidence/trust.csv": {"cards": {"2"}},
        "/confidence/calibration.csv": {},
        "/confidence/coverage.csv": {"section": {"by_month"}},
        "/confidence/models.csv": {"version": {"decisions-1", "decisions-2"}, "log_loss": {"0.78", ""}},
        "/health/due.csv?reason=age": {"failure_id": {card.id}},
        "/health/flags.csv?kind=outdated": {"latest": {f"'{FORMULA}"}},
        "/health/proposals.csv": {"failure_id": {card.id}, "proposed": {technician.name}},
        "/health/phrases.csv": {"text": {"brake squeals"}, "tickets": {"5"}},
        "/health/incidents.csv?status=open": {"incident_id": {incident.id}},
        f"/health/incidents/{incident.id}/tickets.csv": {"make": {"Ather"}},
    }
    for path, columns in expected.items():
        rows = await table(client, path)
        for column, values in columns.items():
            assert values <= {row[column] for row in rows}, (path, column, rows[:3])
    for path in (
        "/health/due.csv?reason=firmware",
        "/health/flags.csv?kind=wrong",
        "/health/incidents.csv?status=closed",
    ):
        assert await table(client, path) == [], path
    assert await table(client, "/events.csv?kind=ticket.closed") == []


async def test_settings_keep_their_secrets(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api.settings, "mongo_url", "mongodb://efi:hush@db1,db2/?tls=true")
    client = await visitor(api, await api.add_user(Role.admin))
    shown = {row["name"]: row["value"] for row in await table(client, "/settings.csv")}
    assert set(shown) == {f"EFI_{name.upper()}" for name in type(api.settings).model_fields}
    assert shown["EFI_MONGO_URL"] == "mongodb://…@db1,db2/?tls=true"
    assert shown["EFI_SECRET_KEY"] == "set, not shown"
    page = (await client.get("/settings")).text
    for secret in ("hush", api.settings.secret_key.get_secret_value(), api.settings.admin_password.get_secret_value()):
        assert secret not in page + repr(shown)


async def test_tickets_are_those_of_the_view(api: Api):
    technician, customer = await api.add_user(Role.technician), await api.add_user(Role.fleet_customer)
    with acting_as(actor_of(technician)):
        mine = await ticket_moves.assign(await tickets.create(TicketContent(title="Mine to do")), technician.id)
        await tickets.create(TicketContent(title="Waits"))
    with acting_as(system("test")):
        await Ticket(title="Elsewhere", site_id=new_id("site")).insert()
    client = await visitor(api, technician)

    async def titles(path: str, of: httpx.AsyncClient = client) -> set[str]:
        return {row["title"] for row in await table(of, path)}

    assert await titles("/tickets.csv?view=mine") == {"Mine to do"}
    assert await titles("/tickets.csv?view=open") == {"Mine to do", "Waits"}
    assert await titles("/tickets.csv?view=open&due=overdue") == set()
    assert await titles("/tickets.csv?view=all") == {"Mine to do", "Waits"}
    assert await titles(f"/tickets.csv?view=all&status={mine.status}") == {"Mine to do", "Waits"}
    assert await titles("/tickets.csv?view=all&status=closed") == set()
    assert await titles("/tickets.csv?view=mine", await visitor(api, customer)) == set()


async def test_long_lists_are_whole(api: Api):
    with acting_as(system("test")):
        await Ticket.insert_many([Ticket(title=f"Number {number}") for number in range(450)])
    client = await visitor(api, await api.add_user(Role.admin))
    assert len(await table(client, "/tickets.csv?view=all")) == 450
