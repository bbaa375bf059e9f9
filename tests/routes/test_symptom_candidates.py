"""Experts decide on candidates over HTTP."""

import pytest

from app.security import Role, acting_as, system
from models.symptom_candidate import CandidateStatus, SymptomCandidate
from models.ticket import Ticket
from services.knowledge import candidates
from services.knowledge.phrases import Phrase
from tests.support import Api

PATH = "/api/efi/symptom-candidates"
SYMPTOM = {"symptom_code": "SYM_BRAK_009", "name": "Brakes squeal", "category": "brakes"}


@pytest.fixture
async def candidate(api: Api) -> str:
    with acting_as(system("test")):
        for _ in range(candidates.MIN_VOICES):
            ticket = Ticket(title="Brakes")
            await candidates.gather([Phrase("brak squeal", "brake squeals")], ticket, None, ticket.created_at)
        [one] = await SymptomCandidate.find({"status": CandidateStatus.open}).to_list()
    return one.id


async def test_a_candidate_is_listed_read_and_accepted(api: Api, candidate: str):
    expert = await api.as_role(Role.expert)
    [listed] = (await expert.get(PATH)).json()["items"]
    assert (listed["candidate_id"], listed["text"], listed["tickets"]) == (candidate, "brake squeals", 5)
    assert (await expert.get(f"{PATH}/{candidate}")).json()["status"] == "open"
    made = await expert.post(f"{PATH}/{candidate}/accept", json=SYMPTOM)
    assert (made.status_code, made.json()["synonyms"]) == (201, ["brake squeals"])
    assert (await expert.get(PATH)).json()["items"] == []
    again = await expert.post(f"{PATH}/{candidate}/drop", json={})
    assert (again.status_code, again.json()["code"]) == (409, "illegal_move")


async def test_a_candidate_is_merged(api: Api, candidate: str):
    expert = await api.as_role(Role.expert)
    await expert.post("/api/efi/symptoms", json=SYMPTOM | {"synonyms": ["screech"]})
    merged = await expert.post(f"{PATH}/{candidate}/merge", json={"symptom_code": "SYM_BRAK_009"})
    assert merged.json()["synonyms"] == ["screech", "brake squeals"]
    assert (await expert.get(f"{PATH}/{candidate}")).json()["symptom_code"] == "SYM_BRAK_009"


async def test_a_candidate_is_dropped(api: Api, candidate: str):
    expert = await api.as_role(Role.expert)
    dropped = (await expert.post(f"{PATH}/{candidate}/drop", json={"reason": "too vague"})).json()
    assert (dropped["status"], dropped["reason"]) == ("dropped", "too vague")


async def test_errors_and_roles(api: Api, candidate: str):
    expert, technician = await api.as_role(Role.expert), await api.as_role(Role.technician)
    assert (await technician.get(PATH)).status_code == 403
    assert (await expert.get(f"{PATH}/cnd_none")).status_code == 404
    assert (await expert.post(f"{PATH}/{candidate}/merge", json={"symptom_code": "SYM_NONE_001"})).status_code == 404
    assert (await expert.get(PATH, params={"after": "?"})).status_code == 422
