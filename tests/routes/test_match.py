"""Matching over HTTP."""

from typing import Any

import httpx
import pytest

from app.security import Role, acting_as, system
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, FailureCard
from models.ticket import Ticket
from services.knowledge import cards
from services.knowledge.loading import upsert_by_natural_key
from tests.support import Api


@pytest.fixture
async def technician(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.technician)


def content(title: str, **fields: Any) -> CardContent:
    return CardContent(
        **{
            "title": title,
            "subsystem_category": SubsystemCategory.bms,
            "failure_mode": FailureMode.degradation,
            **fields,
        }
    )


@pytest.fixture
async def card(api: Api) -> FailureCard:
    """The right answer, beside another card."""
    with acting_as(system("test")):
        await upsert_by_natural_key(
            [
                (
                    "a",
                    content("BMS cell imbalance", symptom_text="stops charging at 80 percent", error_codes=["P0A80"]),
                ),
                ("b", content("Horn silent")),
            ]
        )
        found = await FailureCard.find_one({"natural_key": "a"})
    assert found is not None
    return found


COMPLAINT = {"symptom_text": "Battery stops charging at 80 percent", "error_codes": ["P0A80"]}


@pytest.mark.parametrize("scorer", ["efi_v2", "calibrated"])
async def test_a_complaint_finds_its_card_with_reasons(technician: httpx.AsyncClient, card: FailureCard, scorer: str):
    answer = await technician.post("/api/efi/match", json={**COMPLAINT, "scorer": scorer})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    best = body["matches"][0]
    assert (best["failure_id"], best["title"], best["match_type"]) == (card.id, card.title, "exact")
    assert 0 < best["match_score"] <= 1
    assert sum(reason["contribution"] for reason in best["explanation"]) == pytest.approx(best["match_score"])
    assert best["channels"]["exact"] > 0
    assert (best["confidence_level"], best["is_draft"]) == ("medium", False)
    assert best["evidence"]["n"] == 0
    assert body["scorer"] == scorer
    assert (best["probability"] is None) == (scorer == "efi_v2")


async def test_limit_and_least_score_are_kept(technician: httpx.AsyncClient, card: FailureCard):
    everything = {**COMPLAINT, "symptom_text": "charging horn silent"}
    assert len((await technician.post("/api/efi/match", json=everything)).json()["matches"]) == 2
    one = await technician.post("/api/efi/match", json={**everything, "limit": 1})
    assert [match["failure_id"] for match in one.json()["matches"]] == [card.id]
    none = await technician.post("/api/efi/match", json={**everything, "min_score": 1})
    assert none.json()["matches"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"symptom_text": "x", "scorer": "astrology"}, "scorer"),
        ({"symptom_text": "x", "limit": 0}, "limit"),
        ({"symptom_text": "x", "limit": 51}, "limit"),
        ({"symptom_text": "x", "limit": "many"}, "limit"),
        ({"symptom_text": "x", "min_score": 1.5}, "min_score"),
        ({"symptom_text": "x", "colour": "red"}, "colour"),
        ({"error_codes": ["not a code!"]}, "error_codes.0"),
        ({"symptom_text": "x" * 20_001}, "symptom_text"),
        ({"vehicle_make": "Ather"}, ""),
    ],
)
async def test_a_wrong_question_names_field_and_rule(technician: httpx.AsyncClient, body: dict[str, Any], field: str):
    answer = await technician.post("/api/efi/match", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["field"].removeprefix("body.").endswith(field)
    assert error["rule"]


async def test_makers_see_no_drafts(api: Api, technician: httpx.AsyncClient):
    with acting_as(system("test")):
        draft = await cards.create(content("Horn silent"))
    asked = {"symptom_text": "horn silent", "include_drafts": True}
    found = (await technician.post("/api/efi/match", json=asked)).json()["matches"]
    assert [(match["failure_id"], match["is_draft"]) for match in found] == [(draft.id, True)]
    maker = await api.as_role(Role.oem)
    assert (await maker.post("/api/efi/match", json=asked)).status_code == 403
    assert (await maker.post("/api/efi/match", json={"symptom_text": "horn silent"})).json()["matches"] == []


async def test_matching_a_ticket_notes_the_suggestions(api: Api, technician: httpx.AsyncClient, card: FailureCard):
    made = await technician.post("/api/tickets", json={"title": "Stops charging at 80 percent"})
    ticket_id = made.json()["ticket_id"]
    answer = await technician.post(f"/api/efi/match-ticket/{ticket_id}")
    assert [match["failure_id"] for match in answer.json()["matches"]] == [card.id]
    ticket = (await technician.get(f"/api/tickets/{ticket_id}")).json()
    assert ticket["suggested_failure_cards"] == [card.id]
    assert ticket["ai_match_performed"] is True
    with acting_as(system("test")):
        stored = await Ticket.get(ticket_id)
        assert stored is not None
        events = await (await api.as_role(Role.admin)).get(f"/api/efi/events?ticket_id={ticket_id}")
    assert [event["event_type"] for event in events.json()["items"]] == [
        "match.completed",
        "match.requested",
        "ticket.created",
    ]


async def test_a_ticket_of_another_site_is_not_matched(api: Api, technician: httpx.AsyncClient):
    admin = await api.as_role(Role.admin)
    ticket = (await admin.post("/api/tickets", json={"title": "Somebody else's"})).json()
    assert (await technician.post(f"/api/efi/match-ticket/{ticket['ticket_id']}")).status_code == 404
