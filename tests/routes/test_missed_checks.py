"""The missed-check guard: names the cheap check before money is spent on a guess, and keeps quiet otherwise."""

from typing import Any

import httpx
import pytest

from app.security import Role, acting_as, system
from models.enums import FailureMode, SubsystemCategory
from models.failure_card import CardContent, FailureCard
from services.knowledge.loading import upsert_by_natural_key
from tests.services.diagnosis.guided_samples import leaf
from tests.support import Api

FUSE = "Is the main charger fuse in the junction box open?"
PACK = "Does one cell group of the pack sag on full throttle?"


def card(title: str, question: str | None, part: str, *, parts_cost: str) -> CardContent:
    return CardContent(
        title=title,
        subsystem_category=SubsystemCategory.charger,
        failure_mode=FailureMode.complete_failure,
        symptom_text="Does not charge at all, charger lamp dark",
        error_codes=["P0A80"],
        diagnostic_tree=leaf(question, duration_minutes=10) if question else None,
        required_parts=[{"part_name": part, "part_number": part}],
        estimated_total_cost=parts_cost,
        universal_failure=True,
    )


@pytest.fixture
async def cards(api: Api) -> dict[str, FailureCard]:
    with acting_as(system("test")):
        await upsert_by_natural_key(
            [
                ("pack", card("Weak pack", PACK, "PACK-1", parts_cost="30000")),
                ("fuse", card("Charger fuse blown", FUSE, "FUSE-1", parts_cost="14000")),
            ]
        )
        return {found.natural_key or "": found async for found in FailureCard.find()}


@pytest.fixture
async def technician(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.technician)


@pytest.fixture
async def ticket_id(technician: httpx.AsyncClient, cards: dict[str, FailureCard]) -> str:
    body = {"title": "Does not charge at all", "error_codes_reported": ["P0A80"]}
    made = (await technician.post("/api/tickets", json=body)).json()["ticket_id"]
    await technician.post(f"/api/tickets/{made}/progress", json={"status": "in_progress"})
    return made


async def missed(client: httpx.AsyncClient, ticket_id: str, card: FailureCard) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/tickets/{ticket_id}/missed-checks", params={"card_id": card.id})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def passed_over(client: httpx.AsyncClient, ticket_id: str) -> list[dict[str, Any]]:
    return (await client.get(f"/api/tickets/{ticket_id}/missed-checks")).json()["passed_over"]


async def act(client: httpx.AsyncClient, ticket_id: str, **fields: Any) -> None:
    body = {"ticket_id": ticket_id, "resolution_outcome": "partial"} | fields
    answer = await client.post("/api/efi/technician-actions", json=body)
    assert answer.status_code == 201, answer.text


async def resolve(client: httpx.AsyncClient, ticket_id: str, card: FailureCard, **fields: Any) -> httpx.Response:
    body = {"resolution": "Replaced the pack", "selected_failure_card": card.id} | fields
    return await client.post(f"/api/tickets/{ticket_id}/resolve", json=body)


async def test_the_check_is_named_with_what_it_would_save(technician, ticket_id, cards):
    found = await missed(technician, ticket_id, cards["pack"])

    assert {one["check"]["question"] for one in found} <= {FUSE, PACK}
    best = found[0]
    assert best["saves"] > 2 * best["cost"] > 0
    assert min(best["if_yes"], best["if_no"]) < best["now"] < max(best["if_yes"], best["if_no"])
    assert "has not been checked" in best["reason"]


async def test_resolving_on_a_guess_is_refused_once(technician, ticket_id, cards):
    refused = await resolve(technician, ticket_id, cards["pack"])

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "check_missed")
    assert problem["missed_checks"][0]["question"] in (FUSE, PACK)
    status = (await technician.get(f"/api/tickets/{ticket_id}")).json()["status"]
    assert status == "in_progress"

    gone_on = await resolve(technician, ticket_id, cards["pack"], acknowledge_missed_checks=True)
    assert (gone_on.status_code, gone_on.json()["status"]) == (200, "resolved")
    [passed] = await passed_over(technician, ticket_id)
    assert (passed["reason"], passed["note"], passed["usage_id"]) == (None, "", None)


async def test_who_goes_on_without_the_check_says_why_and_experts_see_it(technician, ticket_id, cards, api: Api):
    why = {"missed_checks_reason": "not_possible", "missed_checks_note": "No lift free before Monday"}
    gone_on = await resolve(technician, ticket_id, cards["pack"], **why)
    assert (gone_on.status_code, gone_on.json()["status"]) == (200, "resolved")

    expert = await api.as_role(Role.expert)
    [passed] = await passed_over(expert, ticket_id)
    assert (passed["reason"], passed["note"]) == ("not_possible", "No lift free before Monday")
    assert passed["by"]["id"] == (await technician.get("/api/auth/me")).json()["user_id"]
    assert (passed["card_id"], passed["usage_id"]) == (cards["pack"].id, None)
    asked = {check["question"] for check in passed["checks"]}
    assert asked <= {FUSE, PACK}
    health = (await expert.get(f"/api/efi/failure-cards/{cards['pack'].id}/health")).json()["passed_over"]
    assert (health["times"], health["reasons"]) == (1, {"not_possible": 1})
    assert {one["question"] for one in health["questions"]} == asked


async def test_another_reason_is_put_into_words(technician, ticket_id, cards):
    refused = await resolve(technician, ticket_id, cards["pack"], missed_checks_reason="other")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "missed_checks_note")
    unknown = await resolve(technician, ticket_id, cards["pack"], missed_checks_reason="lazy")
    assert unknown.json()["errors"][0]["field"] == "missed_checks_reason"
    note = {"missed_checks_note": "Supplier confirmed the batch"}
    assert (await resolve(technician, ticket_id, cards["pack"], **note)).status_code == 409
    told = await resolve(technician, ticket_id, cards["pack"], missed_checks_reason="other", **note)
    assert told.status_code == 200


async def test_a_reason_without_a_missed_check_is_nothing_to_keep(technician, ticket_id, cards):
    await act(technician, ticket_id, failure_card_used=cards["pack"].id, resolution_outcome="success")
    assert (await resolve(technician, ticket_id, cards["pack"], missed_checks_reason="made")).status_code == 200
    assert await passed_over(technician, ticket_id) == []


async def test_what_was_not_done_is_not_noted(technician, ticket_id, cards):
    await resolve(technician, ticket_id, cards["pack"], missed_checks_reason="made")
    again = await resolve(technician, ticket_id, cards["pack"], missed_checks_reason="made")
    assert (again.status_code, again.json()["code"]) == (409, "illegal_move")
    assert len(await passed_over(technician, ticket_id)) == 1


async def test_nobody_is_kept_from_resolving_what_is_proven(technician, ticket_id, cards):
    await act(technician, ticket_id, failure_card_used=cards["pack"].id, resolution_outcome="success")

    assert await missed(technician, ticket_id, cards["pack"]) == []
    assert (await resolve(technician, ticket_id, cards["pack"])).status_code == 200


async def test_nobody_is_kept_from_telling_of_a_failure(technician, ticket_id, cards):
    answer = await resolve(technician, ticket_id, cards["pack"], resolution_successful=False)

    assert answer.status_code == 200


async def test_a_check_written_down_in_an_action_counts(technician, ticket_id, cards):
    done = [
        {"step_id": "n1", "card_id": cards["pack"].id, "check_performed": "Rode it", "answer": True},
        {"step_id": "n1", "card_id": cards["fuse"].id, "check_performed": "Measured", "answer": False},
    ]
    await act(technician, ticket_id, failure_card_used=cards["pack"].id, attempted_diagnostics=done)

    assert await missed(technician, ticket_id, cards["pack"]) == []
    assert (await resolve(technician, ticket_id, cards["pack"])).status_code == 200


async def test_without_a_card_or_a_basis_it_keeps_quiet(technician, ticket_id, cards, api: Api):
    nothing = await technician.get(f"/api/tickets/{ticket_id}/missed-checks")
    assert nothing.json() == {"items": [], "passed_over": []}
    with acting_as(system("test")):
        other = FailureCard(
            title="Horn stays silent",
            subsystem_category=SubsystemCategory.low_voltage,
            failure_mode=FailureMode.complete_failure,
        )
        await other.insert()
    assert await missed(technician, ticket_id, other) == []
    assert (await resolve(technician, ticket_id, other)).status_code == 200


async def test_a_card_that_does_not_exist_is_no_reassurance(technician, ticket_id):
    answer = await technician.get(f"/api/tickets/{ticket_id}/missed-checks", params={"card_id": "fc_none"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0] == {"field": "card_id", "rule": "names no failure card", "value": "fc_none"}


async def test_an_expensive_part_waits_for_the_check(technician, ticket_id, cards, api: Api):
    async def stocked(number: str, cost: str) -> str:
        body = {"part_name": number, "part_number": number, "unit_cost": cost, "site_id": api.site.id}
        answer = await technician.post("/api/parts", json=body | {"quantity_on_hand": 5})
        assert answer.status_code == 201, answer.text
        return answer.json()["part_id"]

    await act(technician, ticket_id, failure_card_used=cards["pack"].id)
    pack, screw = await stocked("PACK-1", "25000"), await stocked("SCREW-1", "5")

    async def take(part_id: str, **fields: Any) -> httpx.Response:
        body = {"ticket_id": ticket_id, "part_id": part_id} | fields
        return await technician.post("/api/efi/part-usage", json=body)

    assert (await take(screw)).status_code == 201
    refused = await take(pack)
    assert (refused.status_code, refused.json()["code"]) == (409, "check_missed")
    left = (await technician.get(f"/api/parts/{pack}")).json()["quantity_on_hand"]
    assert left == 5
    taken = await take(pack, missed_checks_reason="plain_to_see")
    assert taken.status_code == 201
    [passed] = await passed_over(technician, ticket_id)
    assert (passed["reason"], passed["usage_id"]) == ("plain_to_see", taken.json()["usage_id"])
