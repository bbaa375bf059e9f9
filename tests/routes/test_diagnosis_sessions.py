"""Guided diagnosis over HTTP: a session's whole way, and what it refuses."""

from typing import Any

import httpx
import pytest

from app import clock
from app.security import Role, acting_as, system
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, FailureCard
from models.learning import CardEvidence
from services.diagnosis.guided.identity import identity
from services.knowledge.loading import upsert_by_natural_key
from tests.services.diagnosis.guided_samples import chain, leaf
from tests.support import Api

SPREAD = "Is the resting spread between the cell groups below 50 mV?"
WARNING = "Cells cannot be switched off: insulated tools, no rings."
SESSIONS = "/api/efi/diagnosis-sessions"


def card(title: str, tree: Any, *, cost: str) -> CardContent:
    return CardContent(
        title=title,
        subsystem_category=SubsystemCategory.bms,
        failure_mode=FailureMode.degradation,
        symptom_text="Charging stops at 80 percent, range is short",
        error_codes=["P0A80"],
        diagnostic_tree=tree,
        estimated_total_cost=cost,
        universal_failure=True,
    )


@pytest.fixture
async def cards(api: Api) -> dict[str, FailureCard]:
    """Two costly suspects for the same complaint. They share the spread, which each takes the other way."""
    weak = chain("Is the resting spread between the cell groups above 50 mV?", "Does one group sag on throttle?")
    weak.nodes[1].safety_warnings = [WARNING]
    with acting_as(system("test")):
        await upsert_by_natural_key(
            [
                ("weak", card("Weak cell group", weak, cost="40000")),
                ("charger", card("Charger ends early", leaf(SPREAD, duration_minutes=10), cost="50000")),
            ]
        )
        return {found.natural_key or "": found async for found in FailureCard.find()}


@pytest.fixture
async def technician(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.technician)


async def ticket(client: httpx.AsyncClient) -> str:
    body = {"title": "Charging stops at 80 percent", "description": "Range is short", "vehicle_make": "Ather"}
    body["error_codes_reported"] = ["P0A80"]
    answer = await client.post("/api/tickets", json=body)
    assert answer.status_code == 201, answer.text
    ticket_id = answer.json()["ticket_id"]
    await client.post(f"/api/tickets/{ticket_id}/progress", json={"status": "in_progress"})
    return ticket_id


async def begin(client: httpx.AsyncClient, ticket_id: str | None = None, **fields: Any) -> dict[str, Any]:
    answer = await client.post(SESSIONS, json={"ticket_id": ticket_id or await ticket(client), **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def say(client: httpx.AsyncClient, session: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = await client.post(f"{SESSIONS}/{session['session_id']}/answers", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def uneven(check: dict[str, Any]) -> str:
    """The answer that says the groups are far apart, whichever way the question is put."""
    return "yes" if "above" in check["question"] else "no"


def probabilities(session: dict[str, Any]) -> dict[str, float]:
    return {one["card_id"]: one["probability"] for one in session["candidates"]}


async def test_the_first_step_comes_with_its_reason(technician, cards):
    session = await begin(technician)

    step = session["next_step"]
    assert (session["status"], step["kind"]) == ("open", "test")
    assert step["check"]["question"].startswith("Is the resting spread")
    assert set(step["check"]["also_asked_by"] + [step["check"]["card_id"]]) == {card.id for card in cards.values()}
    assert "saves about" in step["reason"]
    assert step["expected_cost"] < step["cost_without_tests"]
    assert sum(prospect["chance"] for prospect in step["prospects"]) == pytest.approx(1)
    assert sum(probabilities(session).values()) + session["unknown_probability"] == pytest.approx(1)


async def test_a_measurement_answers_and_rules_out(technician, cards):
    session = await begin(technician)
    check = session["next_step"]["check"]

    after = await say(
        technician, session, test_id=check["test_id"], measurement={"quantity": "spread", "value": 0.09, "unit": "V"}
    )

    [step] = after["steps"]
    # 90 mV: yes to "above 50 mV", no to "below 50 mV", whichever way it was put.
    assert step["answer"] == uneven(check)
    assert probabilities(after)[cards["charger"].id] < probabilities(session)[cards["charger"].id] / 3
    assert step["shifts"][0]["card_id"] in {card.id for card in cards.values()}
    charger = next(one for one in after["candidates"] if one["card_id"] == cards["charger"].id)
    assert (charger["ruled_out"], charger["ruled_out_by"]) == (True, [1])
    assert step["rules_out"] == [cards["charger"].id]


async def test_warnings_are_acknowledged_before_the_check_is_shown(technician, cards):
    session = await begin(technician)
    first = session["next_step"]["check"]
    session = await say(technician, session, test_id=first["test_id"], answer=uneven(first))
    step = session["next_step"]
    assert step["kind"] == "test"
    assert (step["acknowledgement_required"], step["safety_warnings"], step["check"]) == (True, [WARNING], None)
    path = f"{SESSIONS}/{session['session_id']}"
    draft = (await technician.get(f"{path}/action-draft")).json()
    assert draft["attempted_diagnostics"][0]["step_id"] == "n1"

    acknowledged = (await technician.post(f"{path}/acknowledge", json={})).json()
    [read] = acknowledged["warnings_read"]
    assert (read["warning"], read["by"]) == (WARNING, session["started_by"] | {"cause": read["by"]["cause"]})
    shown = acknowledged["next_step"]
    assert shown["check"]["question"] == cards["weak"].diagnostic_tree.nodes[1].question
    assert shown["acknowledgement_required"] is False

    done = await say(technician, session, test_id=shown["check"]["test_id"], answer="yes")
    assert (done["status"], done["next_step"]["kind"]) == ("concluded", "confirmed")
    assert done["next_step"]["card_id"] == cards["weak"].id


async def test_an_unread_warning_keeps_the_answer_out(technician, cards):
    session = await begin(technician)
    first = session["next_step"]["check"]
    session = await say(technician, session, test_id=first["test_id"], answer=uneven(first))
    path = f"{SESSIONS}/{session['session_id']}"
    test_id, _ = identity(cards["weak"].diagnostic_tree.nodes[1])

    refused = await technician.post(f"{path}/answers", json={"test_id": test_id, "answer": "yes"})

    assert (refused.status_code, refused.json()["code"]) == (409, "safety_not_acknowledged")
    assert refused.json()["warnings"] == [WARNING]
    # What cannot be done endangers nobody.
    assert (await say(technician, session, test_id=test_id, answer="cannot_do"))["steps"][-1]["answer"] == "cannot_do"


async def test_undo_brings_back_what_was(technician, cards):
    session = await begin(technician)
    test_id = session["next_step"]["check"]["test_id"]
    after = await say(technician, session, test_id=test_id, answer="yes")

    answer = await technician.post(f"{SESSIONS}/{session['session_id']}/undo")

    back = answer.json()
    assert probabilities(back) == probabilities(session) != probabilities(after)
    assert back["next_step"] == session["next_step"]
    assert back["steps"][0]["undone_at"] is not None
    again = await technician.post(f"{SESSIONS}/{session['session_id']}/undo")
    assert (again.status_code, again.json()["code"]) == (409, "illegal_move")


async def test_a_session_goes_on_elsewhere_and_a_stale_device_is_told(technician, cards, api: Api):
    session = await begin(technician)
    path = f"{SESSIONS}/{session['session_id']}"
    etag = (await technician.get(path)).headers["ETag"]
    colleague = await api.as_role(Role.technician)
    await say(colleague, session, test_id=session["next_step"]["check"]["test_id"], answer="no")

    answer = await technician.post(f"{path}/undo", headers={"If-Match": etag})

    assert answer.status_code == 412
    assert len((await technician.get(path)).json()["steps"]) == 1


async def test_a_repair_in_vain_counts_and_one_that_helped_ends(technician, cards):
    session = await begin(technician)
    path = f"{SESSIONS}/{session['session_id']}/repairs"
    weak, charger = cards["weak"].id, cards["charger"].id

    after = (await technician.post(path, json={"card_id": weak, "worked": False})).json()
    assert probabilities(after)[weak] < probabilities(session)[weak] / 3
    assert probabilities(after)[charger] > probabilities(session)[charger]

    done = (await technician.post(path, json={"card_id": charger, "worked": True})).json()
    assert (done["status"], done["next_step"]["kind"], done["next_step"]["card_id"]) == (
        "concluded", "confirmed", charger,
    )  # fmt: skip
    assert done["ended_at"] is not None
    unknown = await technician.post(path, json={"card_id": "fc_none", "worked": True})
    assert unknown.status_code == 422


async def test_stopped_is_over(technician, cards):
    session = await begin(technician)
    path = f"{SESSIONS}/{session['session_id']}"

    stopped = (await technician.post(f"{path}/stop", json={"reason": "Towed away"})).json()

    assert (stopped["status"], stopped["stop_reason"]) == ("stopped", "Towed away")
    body = {"test_id": session["next_step"]["check"]["test_id"], "answer": "yes"}
    assert (await technician.post(f"{path}/answers", json=body)).status_code == 409
    assert (await technician.post(f"{path}/stop", json={})).status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"answer": "maybe"}, "answer"),
        ({"measurement": {"quantity": "spread", "value": 3, "unit": "A"}}, "answer"),
        ({"answer": "yes", "measurement": {"quantity": "spread", "value": 30, "unit": "mV"}}, "answer"),
        ({"test_id": "tst_unknown", "answer": "yes"}, "test_id"),
        ({"answer": "yes", "measurement": {"quantity": "spread", "value": -40, "unit": "V"}}, "measurement.value"),
        ({"measurement": {"quantity": "reading", "value": 1e12, "unit": "volts"}}, "measurement.value"),
    ],
)
async def test_answers_that_say_nothing_or_contradict_themselves(technician, cards, body, field):
    session = await begin(technician)
    check = session["next_step"]["check"]
    if body.get("measurement", {}).get("unit") == "mV" and "below" in check["question"]:
        body = body | {"answer": "no"}

    answer = await technician.post(
        f"{SESSIONS}/{session['session_id']}/answers", json={"test_id": check["test_id"]} | body
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(field)


async def test_answering_twice_is_refused(technician, cards):
    session = await begin(technician)
    test_id = session["next_step"]["check"]["test_id"]
    await say(technician, session, test_id=test_id, answer="no")

    again = await technician.post(
        f"{SESSIONS}/{session['session_id']}/answers", json={"test_id": test_id, "answer": "no"}
    )

    assert again.status_code == 422


async def test_several_sessions_and_who_sees_them(technician, cards, api: Api):
    ticket_id = await ticket(technician)
    first, second = await begin(technician, ticket_id), await begin(technician, ticket_id, tools_missing=["Multimeter"])

    listed = (await technician.get(SESSIONS, params={"ticket_id": ticket_id})).json()["items"]

    assert [one["session_id"] for one in listed] == [second["session_id"], first["session_id"]]
    elsewhere = await api.as_role(Role.technician, site_ids=[])
    assert (await elsewhere.get(f"{SESSIONS}/{first['session_id']}")).status_code == 404
    assert (await elsewhere.get(SESSIONS, params={"ticket_id": ticket_id})).status_code == 404
    customer = await api.as_role(Role.fleet_customer)
    assert (await customer.get(f"{SESSIONS}/{first['session_id']}")).status_code == 403
    assert (await customer.post(SESSIONS, json={"ticket_id": ticket_id})).status_code == 403


async def test_without_any_card_it_is_unknown(technician):
    session = await begin(technician)

    assert (session["status"], session["next_step"]["kind"]) == ("concluded", "unknown")
    assert session["candidates"] == []
    assert session["unknown_probability"] == 1


async def test_a_resolved_ticket_is_not_diagnosed(technician, cards):
    ticket_id = await ticket(technician)
    await technician.post(f"/api/tickets/{ticket_id}/resolve", json={"resolution": "Done"})

    answer = await technician.post(SESSIONS, json={"ticket_id": ticket_id})

    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_move")


async def test_the_action_takes_it_over(technician, cards):
    session = await begin(technician)
    check = session["next_step"]["check"]
    reading = {"quantity": "spread", "value": 90, "unit": "mV"}
    session = await say(technician, session, test_id=check["test_id"], measurement=reading, note="After an hour")
    draft = (await technician.get(f"{SESSIONS}/{session['session_id']}/action-draft")).json()
    weak, charger = cards["weak"].id, cards["charger"].id

    answer = await technician.post(
        "/api/efi/technician-actions",
        json={
            "ticket_id": session["ticket_id"],
            "diagnosis_session_id": session["session_id"],
            "failure_card_used": weak,
            "attempted_diagnostics": [{"check_performed": "Looked at the plug", "result": "Clean"}],
            "resolution_outcome": "success",
        },
    )

    assert answer.status_code == 201, answer.text
    action = answer.json()
    own, taken = action["attempted_diagnostics"]
    assert own["check_performed"] == "Looked at the plug"
    assert taken == draft["attempted_diagnostics"][0]
    assert (taken["step_id"], taken["measurements"][0]["value"]) == ("n1", 90)
    [rejected] = action["rejected_hypotheses"]
    assert (rejected["card_id"], rejected["hypothesis"]) == (charger, "Charger ends early")
    assert check["question"] in rejected["reason_rejected"]
    assert "90 mV" in rejected["evidence"]
    assert set(action["failure_cards_suggested"]) == {weak, charger}
    assert action["diagnosis_session_id"] == session["session_id"]
    other = await ticket(technician)
    wrong = await technician.post(
        "/api/efi/technician-actions",
        json={"ticket_id": other, "diagnosis_session_id": session["session_id"], "resolution_outcome": "success"},
    )
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "diagnosis_session_id")


async def test_a_full_action_takes_what_it_has_room_for(technician, cards):
    session = await begin(technician)
    check = session["next_step"]["check"]
    session = await say(technician, session, test_id=check["test_id"], answer=uneven(check))
    lines, tools = [f"Looked at part {n}" for n in range(100)], [f"Tool {n}" for n in range(50)]

    answer = await technician.post(
        "/api/efi/technician-actions",
        json={
            "ticket_id": session["ticket_id"],
            "diagnosis_session_id": session["session_id"],
            "diagnostic_steps_performed": lines,
            "tools_used": tools,
            "resolution_outcome": "partial",
        },
    )

    assert answer.status_code == 201, answer.text
    action = answer.json()
    assert (action["diagnostic_steps_performed"], action["tools_used"]) == (lines, tools)
    assert len(action["attempted_diagnostics"]) == 1


async def test_the_action_names_the_card_whose_repair_helped(technician, cards):
    session = await begin(technician)
    weak = cards["weak"].id
    body = {"ticket_id": session["ticket_id"], "diagnosis_session_id": session["session_id"]}
    path = f"{SESSIONS}/{session['session_id']}/repairs"

    proposed = await technician.post("/api/efi/technician-actions", json=body | {"resolution_outcome": "partial"})
    await technician.post(path, json={"card_id": weak, "worked": True})
    helped = await technician.post("/api/efi/technician-actions", json=body | {"resolution_outcome": "success"})

    assert [answer.json()["failure_card_used"] for answer in (proposed, helped)] == [None, weak]


async def test_what_was_never_a_suspect_is_not_ruled_out(technician, cards):
    others = [
        card(f"Range short in winter {n}", None, cost="9000").model_copy(update={"error_codes": []}) for n in range(9)
    ]
    with acting_as(system("test")):
        await upsert_by_natural_key([(f"winter {n}", one) for n, one in enumerate(others)])
    session = await begin(technician)
    unthought = {one["card_id"] for one in session["candidates"] if one["prior"] < 0.02}
    assert unthought

    check = session["next_step"]["check"]
    session = await say(technician, session, test_id=check["test_id"], answer=uneven(check))
    sags = identity(cards["weak"].diagnostic_tree.nodes[1])[0]
    await technician.post(f"{SESSIONS}/{session['session_id']}/acknowledge", json={"test_id": sags})
    session = await say(technician, session, test_id=sags, answer="yes")

    out = {one["card_id"] for one in session["candidates"] if one["ruled_out"]}
    assert cards["charger"].id in out
    assert not out & unthought


async def test_earlier_rejections_are_shown(technician, cards):
    variant = "ather||"
    with acting_as(system("test")):
        row = CardEvidence(
            id=f"{cards['charger'].id}|{variant}",
            card_id=cards["charger"].id,
            variant=variant,
            rejections=9.2,
            ruled_out=14,
            as_of=clock.now(),
        )
        await row.insert()

    session = await begin(technician)

    counted = {one["card_id"]: one["times_ruled_out"] for one in session["candidates"]}
    assert counted == {cards["charger"].id: 14, cards["weak"].id: 0}
