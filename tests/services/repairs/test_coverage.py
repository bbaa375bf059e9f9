from datetime import UTC, datetime
from typing import Any

import pytest

from app import clock
from app.database import connect, disconnect
from app.ids import id_at
from models import ALL_DOCUMENTS
from models.ticket import Ticket
from services.repairs.coverage import coverage_report
from tests.query_plans import watched

pytestmark = pytest.mark.usefixtures("as_system")

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_march(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


async def ticket(at: datetime, make: str = "Ather", *, card: str | None = None, **fields: Any) -> None:
    resolved = {"status": "resolved", "resolution_count": 1, "selected_failure_card": card}
    values = {"title": "Does not charge", "vehicle_make": make, "created_at": at, **resolved, **fields}
    await Ticket(id=id_at("ticket", at), **values).insert()


async def test_without_tickets_nothing_is_said_of_coverage():
    report = await coverage_report(months=3)
    assert [month.month for month in report.by_month] == [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    assert (report.total.tickets, report.total.coverage, report.by_make) == (0, None, [])


async def test_a_year_begins_in_the_month_of_the_year_before():
    report = await coverage_report(months=12)
    assert (report.since, len(report.by_month)) == (datetime(2025, 4, 1, tzinfo=UTC), 12)


async def test_counts_tickets_by_the_month_in_which_they_came():
    february, end = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
    await ticket(february, card="fc_a")
    await ticket(end)
    await ticket(NOW, card="fc_a", status="closed")
    await ticket(NOW, card="fc_a", status="in_progress", resolution_count=0)
    await ticket(NOW, status="closed", resolution_count=0)
    await ticket(datetime(2025, 12, 31, 23, 59, tzinfo=UTC), card="fc_a")
    report = await coverage_report(months=3)
    assert [(one.tickets, one.resolved, one.known) for one in report.by_month] == [(0, 0, 0), (2, 2, 1), (3, 1, 1)]
    assert (report.total.tickets, report.total.coverage) == (5, 2 / 3)


async def test_one_make_is_one_make_however_it_is_written():
    for make, card in (("Ather", "fc_a"), ("Ather ", None), ("ather", "fc_b"), ("Ather", None), ("", None)):
        await ticket(NOW, make, card=card)
    ather, unnamed = (await coverage_report(months=1)).by_make
    assert (ather.make, ather.tickets, ather.coverage) == ("Ather", 4, 0.5)
    assert (unnamed.make, unnamed.coverage) == ("", 0.0)


async def test_reads_by_ranges_of_ids(database_url: str, database_name: str):
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        await ticket(NOW)
        await coverage_report(months=2)
    assert await queries.scans(database) == set()
