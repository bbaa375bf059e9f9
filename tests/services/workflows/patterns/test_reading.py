"""Which tickets are unexplained, and how they are read."""

from typing import Any

import pytest

from app.database import connect, disconnect
from app.security import acting_as, system
from models import ALL_DOCUMENTS
from services.workflows.patterns.reading import Analyses, Period, is_unexplained, read
from tests.query_plans import watched
from tests.services.workflows.patterns.conftest import DAYS, Emergence

MATCHED: dict[str, Any] = {
    "status": "open",
    "ai_match_performed": True,
    "suggested_failure_cards": ["fc_1", "fc_2"],
    "selected_failure_card": None,
    "new_failure_discovered": False,
    "resolution_count": 0,
}


@pytest.mark.parametrize(
    ("ticket", "abstained", "ruled_out", "expected"),
    [
        ({}, False, set(), False),
        ({"suggested_failure_cards": []}, False, set(), True),
        ({"suggested_failure_cards": [], "ai_match_performed": False}, False, set(), False),
        ({}, True, set(), True),
        ({}, False, {"fc_1"}, True),
        ({}, False, {"fc_2"}, False),
        ({"selected_failure_card": "fc_2"}, True, {"fc_1"}, False),
        ({"selected_failure_card": "fc_2", "new_failure_discovered": True}, False, set(), True),
        ({"status": "resolved", "resolution_count": 1}, False, set(), True),
        ({"status": "closed", "resolution_count": 1, "selected_failure_card": "fc_1"}, True, set(), False),
        ({"status": "closed"}, True, set(), False),
    ],
)
def test_what_is_unexplained(ticket: dict[str, Any], abstained: bool, ruled_out: set[str], expected: bool):
    assert is_unexplained(MATCHED | ticket, abstained, ruled_out) is expected


def test_a_text_is_analysed_again_only_when_it_has_changed():
    analyses = Analyses()
    first = analyses.of("tkt_1", "grip heater hot, code P0AA6", ["P0A80"])
    assert first == (frozenset({"grip", "heater", "hot", "code", "p0aa6"}), frozenset({"P0A80", "P0AA6"}))
    analyses.end_run()
    assert analyses.of("tkt_1", "grip heater hot, code P0AA6", ["P0A80"]) == first
    assert analyses.of("tkt_1", "horn silent", []) == (frozenset({"horn", "silent"}), frozenset())


async def test_window_and_baseline_are_read_newest_first_up_to_their_bounds(emergence: Emergence):
    with acting_as(system("test")):
        whole = await read(Period(30, 365, 10_000), Analyses())
        some = await read(Period(30, 365, 20), Analyses())
    now = [report for report in whole.reports if report.current]
    assert len(whole.reports) > len(now) > 20
    assert whole.baseline_days in (DAYS - 31, DAYS - 30)
    assert sorted(report.key for report in some.reports if report.current) == sorted(one.key for one in now)[-20:]
    assert sum(not report.current for report in some.reports) == 40
    assert some.baseline_days < 60


async def test_every_query_has_its_index(emergence: Emergence, database_url: str, database_name: str):
    await emergence.emerging(8)
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        await emergence.detect()
        (incident,) = await emergence.incidents()
        await emergence.emerging(3, start=DAYS - 2, within=1)
        await emergence.detect()
        with acting_as(emergence.workshop.expert):
            await emergence.tickets_of(incident)
    with acting_as(system("test")):
        scans = await queries.scans(database)
    own = {"tickets", "match_runs", "technician_actions", "incidents", "incident_tickets", "failure_cards", "symptoms"}
    # The test itself reads whole collections.
    assert {scan for scan in scans if scan.split()[1] in own and not scan.endswith(" {}")} == set()
