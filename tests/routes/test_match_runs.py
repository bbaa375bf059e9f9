"""What was shown is on record: with the ticket's suggestions or alone, and for the right eyes only."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app import clock
from app.security import Role, acting_as, system
from models.account import Site
from models.enums import FailureMode, SubsystemCategory
from models.event import EfiEvent
from models.failure_card import CardContent, FailureCard
from models.match_run import MatchRun
from models.ticket import Ticket
from services.knowledge.loading import upsert_by_natural_key
from tests.support import Api

ASKED = {
    "symptom_text": "Battery stops charging at 80 percent",
    "error_codes": ["p0a80"],
    "vehicle_make": "Ather",
    "vehicle_mileage_km": 12_000,
    "conditions": ["in the rain"],
    "limit": 3,
    "min_probability": 0.001,
}


@pytest.fixture(autouse=True)
async def card(api: Api) -> FailureCard:
    content = CardContent(
        title="BMS cell imbalance",
        subsystem_category=SubsystemCategory.bms,
        failure_mode=FailureMode.degradation,
        symptom_text="stops charging at 80 percent",
        error_codes=["P0A80"],
    )
    with acting_as(system("test")):
        await upsert_by_natural_key([("a", content)])
        found = await FailureCard.find_one({"natural_key": "a"})
    assert found is not None
    return found


async def stored(run_id: str) -> MatchRun:
    with acting_as(system("test")):
        run = await MatchRun.find_one({"_id": run_id})
    assert run is not None
    return run


async def test_a_question_is_on_record_as_it_was_asked_and_answered(api: Api, card: FailureCard):
    technician = await api.as_role(Role.technician)
    answer = (await technician.post("/api/efi/match", json=ASKED)).json()
    run = (await technician.get(f"/api/efi/match-runs/{answer['match_run_id']}")).json()

    assert run["case"] == {
        "text": ASKED["symptom_text"],
        "error_codes": ["P0A80"],
        "symptom_codes": [],
        "vehicle": dict.fromkeys(("model", "year", "variant", "firmware", "vehicle_type")) | {"make": "Ather"},
        "mileage_km": 12_000,
        "vehicle_age_months": None,
        "subsystem": None,
        "conditions": ["in the rain"],
    }
    assert run["options"] == {
        "scorer": "calibrated", "limit": 3, "include_drafts": False, "min_score": 0, "min_probability": 0.001
    }  # fmt: skip
    (shown,), (match,) = run["candidates"], answer["matches"]
    assert (shown["card_id"], shown["card_version"], shown["title"]) == (card.id, card.version, card.title)
    assert shown["score"] == pytest.approx(match["match_score"], abs=1e-8)
    assert [reason["text"] for reason in shown["reasons"]] == [reason["text"] for reason in match["explanation"]]
    for name in ("scorer_version", "none_probability", "no_known_failure", "embedder", "channels_off"):
        assert run[name] == answer[name]
    assert run["index_size"] == 1
    assert (run["actor"]["kind"], run["ticket_id"]) == ("user", None)


async def test_alone_it_expires_and_with_a_ticket_it_stays(api: Api):
    technician = await api.as_role(Role.technician)
    alone = await stored((await technician.post("/api/efi/match", json=ASKED)).json()["match_run_id"])
    assert alone.expires_at is not None
    kept = timedelta(days=api.settings.match_run_days)
    assert abs(alone.expires_at - alone.created_at - kept) < timedelta(seconds=1)

    ticket_id = (await technician.post("/api/tickets", json={"title": "Stops charging"})).json()["ticket_id"]
    answer = (await technician.post(f"/api/efi/match-ticket/{ticket_id}")).json()
    run = await stored(answer["match_run_id"])
    assert (run.ticket_id, run.site_id, run.expires_at) == (ticket_id, api.site.id, None)


async def test_suggestions_name_their_run(api: Api):
    """Also those that a ticket is given by itself when it is created."""
    technician, admin = await api.as_role(Role.technician), await api.as_role(Role.admin)
    body = {"title": "Stops charging at 80 percent"}
    ticket_id = (await technician.post("/api/tickets", json=body)).json()["ticket_id"]
    assert (await admin.post("/api/efi/events/process")).status_code == 200
    ticket = (await technician.get(f"/api/tickets/{ticket_id}")).json()
    run = (await technician.get(f"/api/efi/match-runs/{ticket['match_run_id']}")).json()

    assert [shown["card_id"] for shown in run["candidates"]] == ticket["suggested_failure_cards"]
    assert run["actor"]["id"] == "agent:matching"
    with acting_as(system("test")):
        (completed,) = await EfiEvent.find({"subject_id": ticket_id, "event_type": "match.completed"}).to_list()
    assert completed.data["match_run_id"] == run["match_run_id"]


async def test_a_run_is_kept_only_if_the_suggestions_are(api: Api, monkeypatch: pytest.MonkeyPatch):
    technician = await api.as_role(Role.technician)
    ticket_id = (await technician.post("/api/tickets", json={"title": "Stops charging"})).json()["ticket_id"]

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the events cannot be recorded")

    monkeypatch.setattr("services.diagnosis.matches.record_all", broken)
    assert (await technician.post(f"/api/efi/match-ticket/{ticket_id}")).status_code == 500
    with acting_as(system("test")):
        assert await MatchRun.find({"ticket_id": ticket_id}).count() == 0
        assert (await Ticket.get(ticket_id)).match_run_id is None


async def test_asked_twice_with_one_key_it_is_one_run(api: Api):
    technician = await api.as_role(Role.technician)
    key = {"Idempotency-Key": "one"}
    first, second = [await technician.post("/api/efi/match", json=ASKED, headers=key) for _ in range(2)]
    assert first.json() == second.json()
    with acting_as(system("test")):
        assert await MatchRun.find({}).count() == 1


EVERY_CURATOR = {"expert", "admin", "service"}


async def seen_by(people: dict[str, httpx.AsyncClient], path: str) -> set[str]:
    answers = {name: (await client.get(path)).status_code for name, client in people.items()}
    assert set(answers.values()) <= {200, 403, 404}
    return {name for name, status in answers.items() if status == 200}


@pytest.fixture
async def people(api: Api) -> dict[str, httpx.AsyncClient]:
    other = Site(name="Workshop Two", city="Pune")
    with acting_as(system("test")):
        await other.insert()
    return {
        "technician": await api.as_role(Role.technician),
        "colleague": await api.as_role(Role.technician),
        "elsewhere": await api.as_role(Role.technician, site_ids=[other.id]),
        "expert": await api.as_role(Role.expert),
        "admin": await api.as_role(Role.admin),
        "service": await api.as_role(Role.service),
        "customer": await api.as_role(Role.fleet_customer),
        "other customer": await api.as_role(Role.fleet_customer, organisation_id="org_somebody_else"),
        "oem": await api.as_role(Role.oem),
    }


async def test_a_tickets_run_is_seen_by_those_who_work_the_ticket(api: Api, people: dict[str, httpx.AsyncClient]):
    body = {"title": "Stops charging", "organisation_id": api.organisation.id}
    ticket_id = (await people["technician"].post("/api/tickets", json=body)).json()["ticket_id"]
    run_id = (await people["technician"].post(f"/api/efi/match-ticket/{ticket_id}")).json()["match_run_id"]

    at_work = {"technician", "colleague"} | EVERY_CURATOR
    assert await seen_by(people, f"/api/efi/match-runs/{run_id}") == at_work
    assert await seen_by(people, f"/api/efi/match-runs?ticket_id={ticket_id}") == at_work
    listed = (await people["colleague"].get(f"/api/efi/match-runs?ticket_id={ticket_id}")).json()
    assert [run["match_run_id"] for run in listed["items"]] == [run_id]


@pytest.mark.parametrize("maker", ["technician", "oem"])
async def test_any_other_run_is_its_makers_and_the_experts(people: dict[str, httpx.AsyncClient], maker: str):
    run_id = (await people[maker].post("/api/efi/match", json=ASKED)).json()["match_run_id"]
    assert await seen_by(people, f"/api/efi/match-runs/{run_id}") == {maker, "expert", "admin"}
    for name, client in people.items():
        answer = await client.get("/api/efi/match-runs")
        if answer.status_code == 200:
            listed = [run["match_run_id"] for run in answer.json()["items"]]
            assert listed == ([run_id] if name == maker else [])


async def test_a_run_past_its_time_is_gone_before_it_is_swept(people: dict[str, httpx.AsyncClient]):
    run_id = (await people["technician"].post("/api/efi/match", json=ASKED)).json()["match_run_id"]
    other_id = (await people["technician"].post("/api/efi/match", json=ASKED)).json()["match_run_id"]
    with acting_as(system("test")):
        past = {"$set": {"expires_at": clock.now() - timedelta(seconds=1)}}
        await MatchRun.get_pymongo_collection().update_one({"_id": run_id}, past)
    assert await seen_by(people, f"/api/efi/match-runs/{run_id}") == set()
    listed = (await people["technician"].get("/api/efi/match-runs")).json()
    assert [run["match_run_id"] for run in listed["items"]] == [other_id]


async def test_runs_come_in_pages(api: Api):
    technician = await api.as_role(Role.technician)
    made = [(await technician.post("/api/efi/match", json=ASKED)).json()["match_run_id"] for _ in range(5)]
    first = (await technician.get("/api/efi/match-runs?limit=3")).json()
    rest = (await technician.get("/api/efi/match-runs", params={"limit": 3, "after": first["next"]})).json()
    assert [run["match_run_id"] for run in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
