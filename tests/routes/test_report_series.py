"""Trust over time, calibration and coverage over HTTP, as JSON and as CSV."""

import csv
import io
from datetime import timedelta

import httpx
import pytest

from app import clock
from app.security import Role, acting_as, system
from models.ticket import Ticket
from tests.services.diagnosis.test_calibration import card, decided
from tests.services.knowledge.samples import stored_card
from tests.support import Api

PATH = "/api/efi/reports"


@pytest.fixture
async def expert(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.expert)


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_trust_over_time(api: Api, expert: httpx.AsyncClient):
    with acting_as(system("test")):
        await stored_card(approved_at=clock.now() - timedelta(days=40), confidence_score=0.75)
    points = (await expert.get(f"{PATH}/trust", params={"days": 60})).json()["points"]
    assert (points[0]["cards"], points[0]["mean_confidence"]) == (0, None)
    assert (points[-1]["mean_confidence"], points[-1]["levels"]["high"]) == (0.75, 1)
    rows = table(await expert.get(f"{PATH}/trust", params={"format": "csv"}))
    assert (len(rows), rows[-1]["mean_confidence"], rows[-1]["high"]) == (13, "0.75", "1")


async def test_calibration(api: Api, expert: httpx.AsyncClient):
    with acting_as(system("test")):
        horn = await card("Horn silent")
        await decided(horn.id, {horn.id: 0.75})
    found = (await expert.get(f"{PATH}/calibration")).json()
    assert (found["decided"], found["tickets"], found["enough"]) == (1, 1, False)
    assert found["best"]["bins"] == [{"mean": 0.75, "share": 1.0, "low": pytest.approx(0.27, abs=0.01), "high": 1.0,
                                      "count": 1}]  # fmt: skip
    rows = table(await expert.get(f"{PATH}/calibration", headers={"accept": "text/csv"}))
    assert [(row["of"], row["count"]) for row in rows] == [("shown", "1"), ("best", "1"), ("none", "1")]


async def test_coverage(api: Api, expert: httpx.AsyncClient):
    with acting_as(system("test")):
        await Ticket(title="Horn silent", vehicle_make="=Ather", status="closed", resolution_count=1).insert()
        await Ticket(title="Horn silent", vehicle_make="=Ather").insert()
    found = (await expert.get(f"{PATH}/coverage", params={"months": 1})).json()
    assert found["total"] == {"tickets": 2, "resolved": 1, "known": 0, "coverage": 0.0}
    assert [(one["make"], one["tickets"]) for one in found["by_make"]] == [("=Ather", 2)]
    rows = table(await expert.get(f"{PATH}/coverage", params={"format": "csv", "months": 1}))
    assert [(row["section"], row["tickets"]) for row in rows] == [("by_month", "2"), ("by_make", "2")]
    assert rows[1]["group"] == "'=Ather"


async def test_bounds(expert: httpx.AsyncClient):
    assert (await expert.get(f"{PATH}/trust", params={"days": 0})).status_code == 422
    assert (await expert.get(f"{PATH}/coverage", params={"months": 37})).status_code == 422
