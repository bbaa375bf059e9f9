"""Near duplicates where cards are written and reviewed, and merging two cards over HTTP."""

from typing import Any

import httpx
import pytest

from app.security import Role, acting_as, system
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation
from routes.api.card_schemas import CARD_EXAMPLE
from tests.routes.test_failure_cards import PATH, created, stands
from tests.support import Api

QUEUE = "/api/efi/review-queue"
REWORDED: dict[str, Any] = {
    "title": "Balancing board of the BMS burnt",
    "subsystem_category": "bms",
    "failure_mode": "short_circuit",
    "symptom_text": "Battery does not charge beyond 80 %, and the range drops",
    "error_codes": ["P0A80", "P1B01"],
    "root_cause": "Open balancing resistor of one cell group",
    "vehicle_models": [{"make": "Ola", "model": "S1"}],
}


async def approved(api: Api, expert: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    card = await created(await api.as_role(Role.technician), **fields)
    path = f"{PATH}/{card['failure_id']}"
    await expert.post(f"{path}/submit")
    answer = await expert.post(f"{path}/approve")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_author_is_told_of_what_is_known_already(api: Api):
    expert = await api.as_role(Role.expert)
    known = await approved(api, expert)
    await approved(
        api, expert, title="Horn stays silent", root_cause="Relay burnt", symptom_text="No horn", error_codes=[]
    )
    author = await api.as_role(Role.technician)
    answer = await author.post(PATH, json=REWORDED)
    (found,) = answer.json()["near_duplicates"]
    assert (found["failure_id"], found["status"]) == (known["failure_id"], "approved")
    assert 0.4 <= found["similarity"] < 1
    assert sum(reason["contribution"] for reason in found["reasons"]) == pytest.approx(found["similarity"], abs=1e-6)
    facts = {fact["field"]: (fact["here"], fact["there"], fact["both"]) for fact in found["differences"]}
    assert facts["error_codes"] == (["P1B01"], [], ["P0A80"])
    assert facts["vehicle_models"] == (["Ola S1"], ["Ather 450X 2021-"], [])
    assert facts["failure_mode"] == (["short_circuit"], ["degradation"], [])
    assert "subsystem_category" not in facts

    one = f"{PATH}/{answer.json()['failure_id']}"
    another = {"title": "Horn silent", "symptom_text": "No horn", "root_cause": "Relay burnt", "error_codes": []}
    edited = await author.put(one, json={**REWORDED, **another}, headers={"If-Match": '"1"'})
    assert [near["title"] for near in edited.json()["near_duplicates"]] == ["Horn stays silent"], "as it is now"
    back = await author.put(one, json=REWORDED, headers={"If-Match": edited.headers["ETag"]})
    assert [one["failure_id"] for one in back.json()["near_duplicates"]] == [known["failure_id"]]
    submitted = await author.post(f"{one}/submit")
    assert submitted.json()["near_duplicates"][0]["failure_id"] == known["failure_id"]
    strict = await author.get(f"{one}/near-duplicates", params={"min_similarity": 0.99})
    assert strict.json() == {"failure_id": answer.json()["failure_id"], "items": []}
    wide = await author.get(f"{one}/near-duplicates", params={"min_similarity": 0, "limit": 1})
    assert len(wide.json()["items"]) == 1
    review = (await expert.get(QUEUE)).json()["items"][0]
    detail = (await expert.get(f"{QUEUE}/{review['review_id']}")).json()
    assert [one["failure_id"] for one in detail["near_duplicates"]] == [known["failure_id"]]
    await expert.post(f"{one}/approve")
    assert (await expert.get(f"{QUEUE}/{review['review_id']}")).json()["near_duplicates"] is None


async def test_a_draft_that_resembles_nothing_says_so(api: Api):
    assert (await created(await api.as_role(Role.technician)))["near_duplicates"] == []


async def test_an_expert_merges_a_draft_into_what_is_known(api: Api):
    expert = await api.as_role(Role.expert)
    known = await approved(api, expert)
    author = await api.as_role(Role.technician)
    draft = (await author.post(PATH, json=REWORDED)).json()
    one = f"{PATH}/{draft['failure_id']}"
    await author.post(f"{one}/submit")
    body = {"into": known["failure_id"], "take": ["error_codes", "vehicle_models"], "reason": "written twice"}
    assert (await author.post(f"{one}/merge", json=body)).status_code == 403
    assert (await expert.post(f"{one}/merge", json=body, headers={"If-Match": '"1"'})).status_code == 412
    answer = await expert.post(f"{one}/merge", json=body, headers={"If-Match": '"2"', "Idempotency-Key": "once"})
    assert answer.status_code == 200, answer.text
    kept = answer.json()
    assert (kept["failure_id"], kept["version"], kept["merged_from"]) == (known["failure_id"], 2, [draft["failure_id"]])
    assert kept["error_codes"] == ["P0A80", "P1B01"]
    assert [vehicle["make"] for vehicle in kept["vehicle_models"]] == ["Ather", "Ola"]
    assert kept["version_history"][-1]["summary"] == "written twice"
    assert answer.headers["ETag"] == f'"{kept["edition"]}"'

    retired = (await author.get(one)).json()
    assert (retired["status"], retired["merged_into"]) == ("deprecated", known["failure_id"])
    assert (await author.get(f"{one}/versions/1")).json()["content"]["title"] == REWORDED["title"]
    assert (await expert.get(QUEUE)).json()["items"] == []

    again = await expert.post(f"{one}/merge", json=body, headers={"If-Match": '"2"', "Idempotency-Key": "once"})
    assert (again.status_code, again.json()) == (200, kept)
    without_key = await expert.post(f"{one}/merge", json=body)
    assert (without_key.status_code, without_key.json()["version"]) == (200, 2)
    back = await expert.post(f"{PATH}/{known['failure_id']}/merge", json={**body, "into": draft["failure_id"]})
    assert (back.status_code, back.json()["code"]) == (409, "already_merged")
    assert known["failure_id"] in back.json()["detail"]


async def test_merged_content_can_be_written_by_hand(api: Api):
    expert = await api.as_role(Role.expert)
    known, other = await approved(api, expert), await approved(api, expert, **REWORDED)
    path = f"{PATH}/{other['failure_id']}/merge"
    by_hand = {**CARD_EXAMPLE, "title": "Balancing resistor open", "error_codes": ["P1B01"]}
    body = {"into": known["failure_id"], "content": by_hand, "reason": "one card"}
    assert (await expert.post(path, json=body)).status_code == 422, (
        "it replaces what was read, so it says what that was"
    )
    stale = await expert.post(path, json={**body, "into_edition": known["edition"] - 1})
    assert (stale.status_code, stale.json()["current"]) == (412, known["edition"])
    both = await expert.post(path, json={**body, "into_edition": known["edition"], "take": ["title"]})
    assert both.status_code == 422
    answer = await expert.post(path, json={**body, "into_edition": known["edition"]})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["title"], answer.json()["error_codes"]) == ("Balancing resistor open", ["P1B01"])


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"into": "fc_nowhere"}, 422, "names no failure card"),
        ({"into": "itself"}, 422, "must be another card"),
        ({"take": ["failure_signature"]}, 422, "take"),
        ({"reason": ""}, 422, "reason"),
        ({"into": "draft"}, 409, "other way round"),
        ({"into": "deprecated"}, 409, "deprecated"),
        ({"extra": 1}, 422, "extra"),
    ],
)
async def test_what_cannot_be_merged(api: Api, change: dict[str, Any], status: int, says: str):
    expert = await api.as_role(Role.expert)
    card = await stands(api)
    others = {"itself": card, "draft": await stands(api, "draft"), "deprecated": await stands(api, "deprecated")}
    body = {"into": (await stands(api)).id, "reason": "same", **change}
    body["into"] = others[body["into"]].id if body["into"] in others else body["into"]
    answer = await expert.post(f"{PATH}/{card.id}/merge", json=body)
    assert answer.status_code == status, answer.text
    assert says in answer.text
    with acting_as(system("test")):
        unchanged = await FailureCard.get(card.id)
    assert unchanged is not None
    assert (unchanged.revision, unchanged.status) == (card.revision, "approved")


async def test_a_review_that_somebody_else_claimed_holds_the_merge_up(api: Api):
    expert, other = await api.as_role(Role.expert), await api.as_role(Role.expert)
    known = await approved(api, expert)
    draft = (await expert.post(PATH, json=REWORDED)).json()
    await expert.post(f"{PATH}/{draft['failure_id']}/submit")
    review = (await expert.get(QUEUE)).json()["items"][0]
    await other.post(f"{QUEUE}/{review['review_id']}/claim")
    body = {"into": known["failure_id"], "reason": "same"}
    refused = await expert.post(f"{PATH}/{draft['failure_id']}/merge", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "claimed")
    assert (await expert.get(f"{PATH}/{known['failure_id']}")).json()["version"] == 1, "nothing of it was done"
    assert (await other.post(f"{PATH}/{draft['failure_id']}/merge", json=body)).status_code == 200


async def test_edges_of_the_graph_follow_and_add_up(api: Api):
    expert = await api.as_role(Role.expert)
    known, other = await approved(api, expert), await approved(api, expert, **REWORDED)
    await api.app.state.service.processor.process_pending(100)
    with acting_as(system("test")):
        mine = await KnowledgeRelation.find({"source_id": other["failure_id"], "target_id": "bms"}).to_list()
        assert len(mine) == 1
        await KnowledgeRelation.get_pymongo_collection().update_one(
            {"_id": mine[0].id}, {"$set": {"evidence_count": 4, "support": 4.0}}
        )
    answer = await expert.post(
        f"{PATH}/{other['failure_id']}/merge", json={"into": known["failure_id"], "reason": "same"}
    )
    assert answer.status_code == 200
    await api.app.state.service.processor.process_pending(100)
    with acting_as(system("test")):
        left = await KnowledgeRelation.find({"source_id": other["failure_id"]}).to_list()
        left += await KnowledgeRelation.find({"target_id": other["failure_id"]}).to_list()
        assert all(edge.ended_at is not None for edge in left)
        assert next(edge for edge in left if edge.target_id == "bms").moved_to is not None
        (subsystem,) = await KnowledgeRelation.find({"source_id": known["failure_id"], "target_id": "bms"}).to_list()
        vehicles = await KnowledgeRelation.find({"target_id": known["failure_id"]}).to_list()
    assert (subsystem.evidence_count, subsystem.weight) == (4, pytest.approx((4 * 0.5 + 4) / 8, abs=0.01))
    assert {edge.source_id for edge in vehicles} == {"ather|450x", "ola|s1"}
    assert {edge.target_label for edge in vehicles} == {known["title"]}
