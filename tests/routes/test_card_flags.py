"""Flags and proposals over HTTP, by role."""

import asyncio

import httpx
import pytest

from app.security import Role
from routes.api.card_schemas import CARD_EXAMPLE
from tests.support import Api

CARDS, FLAGS, PROPOSALS = "/api/efi/failure-cards", "/api/efi/card-flags", "/api/efi/card-proposals"


async def approved(api: Api) -> str:
    author, other = await api.as_role(Role.expert), await api.as_role(Role.expert)
    made = (await author.post(CARDS, json=CARD_EXAMPLE)).json()["failure_id"]
    await author.post(f"{CARDS}/{made}/submit")
    assert (await other.post(f"{CARDS}/{made}/approve")).status_code == 200
    return made


async def flagged(client: httpx.AsyncClient, card: str, **body: object) -> str:
    answer = await client.post(f"{CARDS}/{card}/flags", json={"kind": "wrong", "text": "R14 is gone"} | body)
    assert answer.status_code == 201, answer.text
    return answer.json()["flag_id"]


@pytest.mark.parametrize("role", [Role.technician, Role.expert, Role.admin, Role.service, Role.oem, Role.manufacturer])
async def test_who_may_flag(api: Api, role: Role):
    card, client = await approved(api), await api.as_role(role)
    answer = await client.post(f"{CARDS}/{card}/flags", json={"kind": "unclear", "text": "which connector?"})
    assert (answer.status_code, answer.json()["count"]) == (201, 1)
    assert "reports" not in answer.json(), "what others said is not for everybody"


async def test_customers_speak_through_their_tickets(api: Api):
    card, customer = await approved(api), await api.as_role(Role.fleet_customer)
    body = {"kind": "wrong", "text": "no"}
    assert (await customer.post(f"{CARDS}/{card}/flags", json=body)).status_code == 403
    assert (await customer.get(f"{CARDS}/{card}/health")).status_code == 403


async def test_makers_do_not_learn_of_cards_that_they_may_not_see(api: Api):
    technician, oem = await api.as_role(Role.technician), await api.as_role(Role.oem)
    draft = (await technician.post(CARDS, json=CARD_EXAMPLE)).json()["failure_id"]
    body = {"kind": "wrong", "text": "no"}
    assert (await oem.post(f"{CARDS}/{draft}/flags", json=body)).status_code == 404
    flag = await flagged(technician, draft)
    proposal = {"content": CARD_EXAMPLE | {"root_cause": "x"}, "reason": "y"}
    assert (await oem.post(f"{FLAGS}/{flag}/proposals", json=proposal)).status_code == 404


async def test_a_flag_gathers_is_listed_and_settled_by_an_edit(api: Api):
    card = await approved(api)
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)
    flag = await flagged(technician, card, card_version=1)
    assert await flagged(expert, card) == flag
    [listed] = (await technician.get(f"{CARDS}/{card}/flags")).json()["items"]
    assert (listed["count"], [one["text"] for one in listed["reports"]]) == (2, ["R14 is gone"] * 2)
    [everywhere] = (await expert.get(FLAGS, params={"kind": "wrong"})).json()["items"]
    assert everywhere["flag_id"] == flag
    shown = await expert.get(f"{CARDS}/{card}")
    assert shown.json()["open_flags"] == 1
    edit = CARD_EXAMPLE | {"root_cause": "The board has no R14", "change_summary": "R14", "resolves_flags": [flag]}
    refused = await technician.put(f"{CARDS}/{card}", json=edit, headers={"If-Match": shown.headers["ETag"]})
    assert refused.status_code == 403
    edited = await expert.put(f"{CARDS}/{card}", json=edit, headers={"If-Match": shown.headers["ETag"]})
    assert (edited.status_code, edited.json()["version"], edited.json()["open_flags"]) == (200, 2, 0)
    settled = (await technician.get(f"{FLAGS}/{flag}")).json()
    assert (settled["status"], settled["resolution_version"]) == ("resolved", 2)


async def test_two_who_flag_at_once_gather(api: Api):
    card = await approved(api)
    people = [await api.as_role(Role.technician) for _ in range(6)]
    made = await asyncio.gather(*(flagged(one, card) for one in people))
    assert len(set(made)) == 1
    shown = (await people[0].get(f"/api/efi/card-flags/{made[0]}")).json()
    assert (shown["count"], len(shown["reports"])) == (6, 6)
    assert (await people[0].get(f"{CARDS}/{card}")).json()["open_flags"] == 1


async def test_a_flag_names_a_ticket_that_its_author_may_see(api: Api):
    card = await approved(api)
    technician, oem = await api.as_role(Role.technician), await api.as_role(Role.oem)
    ticket = (await technician.post("/api/tickets", json={"title": "Stops charging"})).json()["ticket_id"]
    body = {"kind": "wrong", "text": "no", "ticket_id": ticket}
    assert (await technician.post(f"{CARDS}/{card}/flags", json=body)).status_code == 201
    for client, wrong in ((oem, ticket), (technician, "tkt_none")):
        refused = await client.post(f"{CARDS}/{card}/flags", json=body | {"ticket_id": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "ticket_id")
    beyond = await technician.post(f"{CARDS}/{card}/flags", json={"kind": "wrong", "text": "no", "card_version": 2})
    assert beyond.status_code == 422


async def test_the_same_request_flags_once(api: Api):
    card, technician = await approved(api), await api.as_role(Role.technician)
    for _ in range(2):
        answer = await technician.post(
            f"{CARDS}/{card}/flags", json={"kind": "wrong", "text": "no"}, headers={"Idempotency-Key": "k1"}
        )
        assert (answer.status_code, answer.json()["count"]) == (201, 1)


async def test_resolving_and_dismissing_is_for_those_who_may_edit(api: Api):
    card = await approved(api)
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)
    flag = await flagged(technician, card)
    assert (await technician.post(f"{FLAGS}/{flag}/dismiss", json={"reason": "no"})).status_code == 403
    assert (await expert.post(f"{FLAGS}/{flag}/resolve", json={"version": 1})).status_code == 422
    assert (await expert.post(f"{FLAGS}/{flag}/dismiss", json={"reason": "it is there"})).json()[
        "status"
    ] == "dismissed"
    again = await expert.post(f"{FLAGS}/{flag}/dismiss", json={"reason": "twice"})
    assert (again.status_code, again.json()["code"]) == (409, "flag_closed")


async def test_a_proposal_is_compared_and_accepted(api: Api):
    card = await approved(api)
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)
    flag = await flagged(technician, card)
    body = {"content": CARD_EXAMPLE | {"root_cause": "The board has no R14"}, "reason": "as built"}
    made = await technician.post(f"{FLAGS}/{flag}/proposals", json=body)
    assert (made.status_code, made.json()["base_version"]) == (201, 1)
    path = f"{PROPOSALS}/{made.json()['proposal_id']}"
    assert (await (await api.as_role(Role.technician)).get(path)).status_code == 404
    assert (await technician.post(f"{path}/accept")).status_code == 403
    seen = (await expert.get(path)).json()["comparison"]
    assert [one["new"] for one in seen["differences"] if one["field"] == "root_cause"] == ["The board has no R14"]
    edition = (await expert.get(f"{CARDS}/{card}")).headers["ETag"]
    stale = await expert.post(f"{path}/accept", headers={"If-Match": '"99"'})
    assert stale.status_code == 412
    accepted = await expert.post(f"{path}/accept", headers={"If-Match": edition})
    assert (accepted.json()["status"], accepted.json()["resulting_version"]) == ("accepted", 2)
    assert accepted.json()["comparison"] is None
    [latest, _] = (await expert.get(f"{CARDS}/{card}/versions")).json()["items"]
    assert latest["proposed_by"]["name"].startswith("Technician")


async def test_both_changed_the_same_field(api: Api):
    card = await approved(api)
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)
    flag = await flagged(technician, card)
    body = {"content": CARD_EXAMPLE | {"root_cause": "The board has no R14"}, "reason": "as built"}
    path = f"{PROPOSALS}/{(await technician.post(f'{FLAGS}/{flag}/proposals', json=body)).json()['proposal_id']}"
    edition = (await expert.get(f"{CARDS}/{card}")).headers["ETag"]
    other = CARD_EXAMPLE | {"root_cause": "The board is wet"}
    await expert.put(f"{CARDS}/{card}", json=other, headers={"If-Match": edition})
    refused = await expert.post(f"{path}/accept")
    assert (refused.status_code, refused.json()["code"], refused.json()["fields"]) == (
        409,
        "card_moved_on",
        ["root_cause"],
    )
    shown = (await expert.get(path)).json()["comparison"]
    assert (shown["moved_on"], shown["conflicts"]) == (True, ["root_cause"])
    both = CARD_EXAMPLE | {"root_cause": "Wet, and without R14"}
    accepted = await expert.post(f"{path}/accept", json={"content": both, "reason": "both"})
    assert accepted.json()["resulting_version"] == 3
    assert (await expert.get(f"{CARDS}/{card}")).json()["root_cause"] == "Wet, and without R14"


async def test_declined_and_withdrawn(api: Api):
    card = await approved(api)
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)
    flag = await flagged(technician, card)
    body = {"content": CARD_EXAMPLE | {"root_cause": "The board has no R14"}, "reason": "as built"}
    one, other = [(await technician.post(f"{FLAGS}/{flag}/proposals", json=body)).json() for _ in range(2)]
    declined = await expert.post(f"{PROPOSALS}/{one['proposal_id']}/decline", json={"reason": "it has"})
    assert (declined.json()["status"], declined.json()["decision_reason"]) == ("declined", "it has")
    withdrawn = await technician.post(f"{PROPOSALS}/{other['proposal_id']}/withdraw")
    assert withdrawn.json()["status"] == "withdrawn"
    mine = (await technician.get(PROPOSALS, params={"flag_id": flag})).json()["items"]
    assert sorted(line["status"] for line in mine) == ["declined", "withdrawn"]
