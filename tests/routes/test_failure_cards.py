from typing import Any

import httpx
import pytest

from app.security import Role, acting_as, system
from models.failure_card import CardContent, FailureCard
from routes.api.card_schemas import CARD_EXAMPLE
from tests.support import Api

PATH = "/api/efi/failure-cards"


async def created(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={**CARD_EXAMPLE, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def stands(api: Api, status: str = "approved", **fields: Any) -> FailureCard:
    """A card put straight into the store."""
    with acting_as(system("test")):
        card = FailureCard.model_validate({**CARD_EXAMPLE, "status": status, **fields})
        await card.insert()
    return card


async def test_a_card_from_draft_to_deprecated(api: Api):
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)

    answer = await technician.post(PATH, json=CARD_EXAMPLE)
    assert answer.headers["ETag"] == '"1"'
    card = answer.json()
    one = f"{PATH}/{card['failure_id']}"
    assert (card["status"], card["version"], card["confidence_level"]) == ("draft", 1, "medium")
    assert card["diagnostic_tree"]["total_paths"] == 3
    assert card["signature_hash"] == card["failure_signature"]["signature_hash"]

    submitted = await technician.post(f"{one}/submit")
    assert (submitted.status_code, submitted.json()["status"]) == (200, "pending_review")
    refused = await technician.post(f"{one}/approve")
    assert refused.status_code == 403
    back = await expert.post(f"{one}/reject", json={"reason": "Which resistance?"})
    assert back.json()["status"] == "draft"

    edited = await technician.put(
        one,
        json={**CARD_EXAMPLE, "root_cause": "12 kΩ instead of 33 Ω", "change_summary": "measured"},
        headers={"If-Match": back.headers["ETag"]},
    )
    assert (edited.status_code, edited.json()["version"]) == (200, 2)
    await technician.post(f"{one}/submit")
    approved = await expert.post(f"{one}/approve", json={"reason": "complete"})
    assert (approved.json()["status"], approved.json()["approved_by"] != "") == ("approved", True)
    gone = await expert.post(f"{one}/deprecate", json={"reason": "board redesigned"})
    assert (gone.json()["status"], gone.json()["deprecation_reason"]) == ("deprecated", "board redesigned")

    listed = (await technician.get(f"{one}/versions")).json()
    assert [(line["version"], line["summary"]) for line in listed["items"]] == [(2, "measured"), (1, "created")]
    old = (await technician.get(f"{one}/versions/1")).json()
    assert old["content"]["root_cause"] == CARD_EXAMPLE["root_cause"]
    diff = (await technician.get(f"{one}/diff", params={"from": 1})).json()
    assert (diff["from_version"], diff["to_version"]) == (1, 2)
    assert {
        "field": "root_cause",
        "change": "changed",
        "old": CARD_EXAMPLE["root_cause"],
        "new": "12 kΩ instead of 33 Ω",
    } in diff["differences"]


async def test_illegal_moves_name_the_legal_ones(api: Api):
    expert = await api.as_role(Role.expert)
    card = await stands(api, "approved")
    answer = await expert.post(f"{PATH}/{card.id}/submit")
    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["code"], problem["legal"]) == ("illegal_move", ["deprecated"])
    ways_out = [{"move": move, "to": "deprecated"} for move in ("deprecate", "merge")]
    assert problem["legal_moves"] == ways_out


async def test_edits_need_the_etag_that_was_read(api: Api):
    expert = await api.as_role(Role.expert)
    card = await created(expert)
    one = f"{PATH}/{card['failure_id']}"
    body = {**CARD_EXAMPLE, "root_cause": "else"}
    assert (await expert.put(one, json=body)).status_code == 428
    assert (await expert.put(one, json=body, headers={"If-Match": "oops"})).status_code == 400
    assert (await expert.put(one, json=body, headers={"If-Match": '"1"'})).headers["ETag"] == '"2"'
    assert (await expert.put(one, json=body, headers={"If-Match": '"1"'})).status_code == 412
    assert (await expert.post(f"{one}/submit", headers={"If-Match": '"1"'})).status_code == 412


async def test_what_was_read_can_be_sent_back(api: Api):
    """A client edits what it read: fields that the service keeps are dropped by it, those of the author stay."""
    expert = await api.as_role(Role.expert)
    card = await created(expert)
    one = f"{PATH}/{card['failure_id']}"
    authored = {name: card[name] for name in CardContent.model_fields}
    answer = await expert.put(one, json=authored, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["version"]) == (200, 1)


LOOP = {
    "root_node_id": "a",
    "nodes": [
        {"node_id": "a", "step_number": 1, "question": "?", "check_action": "x", "if_yes": "b", "if_no": "b"},
        {"node_id": "b", "step_number": 2, "question": "?", "check_action": "x", "if_yes": "a", "if_no": "gone"},
    ],
}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": "x"}, "title"),
        ({"surprise": 1}, "surprise"),
        ({"subsystem_category": "flux"}, "subsystem_category"),
        ({"error_codes": ["P4A80"]}, "error_codes.0"),
        ({"symptom_codes": ["SYM_BATT_404"]}, "symptom_codes"),
        ({"diagnostic_tree": LOOP}, "diagnostic_tree.nodes.1.if_no"),
        ({"description": "x" * 20_001}, "description"),
        ({"estimated_parts_cost": "-1"}, "estimated_parts_cost"),
        ({"first_detected_at": "2026-01-01T00:00:00"}, "first_detected_at"),
    ],
)
async def test_bad_cards_are_refused_by_field_and_nothing_is_written(api: Api, fields: dict[str, Any], field: str):
    technician = await api.as_role(Role.technician)
    answer = await technician.post(PATH, json={**CARD_EXAMPLE, **fields})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert (await technician.get(PATH)).json() == {"items": [], "next": None}


@pytest.mark.parametrize("role", [Role.oem, Role.manufacturer, Role.fleet_customer])
async def test_outsiders_see_approved_cards_without_people_and_tickets(api: Api, role: Role):
    secret = {"source_ticket_id": "tkt_1", "created_by": "usr_1", "approved_by": "usr_2", "source_garage_id": "site_1"}
    shown, hidden = await stands(api, **secret), await stands(api, "draft")
    outsider = await api.as_role(role)
    assert (await outsider.get(f"{PATH}/{hidden.id}")).status_code == 404
    assert (await outsider.get(f"{PATH}/{hidden.id}/evidence")).status_code == 404
    card = (await outsider.get(f"{PATH}/{shown.id}")).json()
    assert (card["title"], card["source_ticket_id"], card["created_by"]) == (CARD_EXAMPLE["title"], None, "")
    listed = (await outsider.get(PATH)).json()["items"]
    assert [card["failure_id"] for card in listed] == [shown.id]
    assert "usr_1" not in str(listed)
    assert (await outsider.get(f"{PATH}/{shown.id}/history")).status_code == 403
    assert (await outsider.post(PATH, json=CARD_EXAMPLE)).status_code == 403


async def test_technicians_edit_their_own_drafts_only(api: Api):
    author, other = await api.as_role(Role.technician), await api.as_role(Role.technician)
    card = await created(author)
    one = f"{PATH}/{card['failure_id']}"
    for call in (
        other.put(one, json=CARD_EXAMPLE, headers={"If-Match": '"1"'}),
        other.post(f"{one}/submit"),
        other.post(f"{one}/discard", json={"reason": "mine is better"}),
    ):
        assert (await call).status_code == 403
    assert (await author.post(f"{one}/discard", json={"reason": "typed twice"})).json()["status"] == "deprecated"


async def test_experts_do_not_approve_their_own_card(api: Api):
    author, other = await api.as_role(Role.expert), await api.as_role(Role.expert)
    one = f"{PATH}/{(await created(author))['failure_id']}"
    await author.post(f"{one}/submit")
    refused = await author.post(f"{one}/approve")
    assert (refused.status_code, refused.json()["code"]) == (403, "own_card")
    assert (await other.post(f"{one}/approve")).status_code == 200


async def test_lists_are_filtered_and_paged(api: Api):
    technician = await api.as_role(Role.technician)
    made = [await stands(api, tags=["monsoon"]) for _ in range(3)]
    await stands(api, "draft", tags=["winter"])
    first = (await technician.get(PATH, params={"tag": "monsoon", "limit": 2})).json()
    second = (await technician.get(PATH, params={"tag": "monsoon", "after": first["next"]})).json()
    found = [card["failure_id"] for card in first["items"] + second["items"]]
    assert found == [card.id for card in made[::-1]]
    assert (await technician.get(PATH, params={"error_code": "p0a80"})).json()["items"]
    assert (await technician.get(PATH, params={"error_code": "P9999"})).status_code == 422
    assert (await technician.get(PATH, params={"model": "450X"})).status_code == 422
    assert (await technician.get(PATH, params={"color": "red"})).status_code == 422


async def test_repeating_a_request_with_its_key_creates_one_card(api: Api):
    technician = await api.as_role(Role.technician)
    answers = [await technician.post(PATH, json=CARD_EXAMPLE, headers={"Idempotency-Key": "k1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len((await technician.get(PATH)).json()["items"]) == 1


async def test_evidence_and_history_of_an_untried_card(api: Api):
    technician = await api.as_role(Role.technician)
    card = await stands(api)
    evidence = (await technician.get(f"{PATH}/{card.id}/evidence")).json()
    assert (evidence["pooled"]["variant"], evidence["pooled"]["fix_rate"]["mean"], evidence["variants"]) == (
        "*",
        0.5,
        [],
    )
    history = (await technician.get(f"{PATH}/{card.id}/history")).json()
    assert (history["items"], history["confidence_level"]) == ([], "medium")


@pytest.mark.parametrize("path", ["fc_gone", "fc_gone/versions", "fc_gone/diff?from=1", "fc_gone/evidence"])
async def test_unknown_cards_are_not_found(api: Api, path: str):
    expert = await api.as_role(Role.expert)
    answer = await expert.get(f"{PATH}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_unknown_versions_are_not_found(api: Api):
    expert = await api.as_role(Role.expert)
    card = await created(expert)
    one = f"{PATH}/{card['failure_id']}"
    assert (await expert.get(f"{one}/versions/7")).status_code == 404
    assert (await expert.get(f"{one}/diff", params={"from": 1, "to": 7})).status_code == 404
    assert (await expert.get(f"{one}/diff")).status_code == 422
