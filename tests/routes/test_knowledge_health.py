"""Due cards, the summary and credit over HTTP, by role."""

import pytest

from app.security import Role, acting_as, system
from services.knowledge import health
from tests.routes.test_card_flags import CARDS, approved, flagged
from tests.support import Api

HEALTH = "/api/efi/knowledge-health"


async def look() -> None:
    with acting_as(system("test")):
        await health.look()


async def test_a_flagged_card_is_due_and_says_why(api: Api):
    card, other = await approved(api), await approved(api)
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)
    flag = await flagged(technician, card)
    await look()
    [due] = (await expert.get(f"{HEALTH}/due")).json()["items"]
    assert (due["failure_id"], [note["reason"] for note in due["notes"]]) == (card, ["flagged"])
    assert (await expert.get(f"{HEALTH}/due", params={"reason": "age"})).json()["items"] == []
    assert (await expert.get(f"{HEALTH}/due", params={"subsystem_category": "motor"})).json()["items"] == []
    shown = (await technician.get(f"{CARDS}/{card}/health")).json()
    assert (shown["due"], shown["open_flags"], shown["reviewed_by_use"]["confirmations"]) == (True, 1, 0)
    assert (await technician.get(f"{CARDS}/{other}/health")).json()["due"] is False
    await expert.post(f"/api/efi/card-flags/{flag}/dismiss", json={"reason": "it is there"})
    await look()
    assert (await expert.get(f"{HEALTH}/due")).json()["items"] == []


async def test_reviewed_and_still_right(api: Api):
    card = await approved(api)
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)
    before = (await expert.get(f"{CARDS}/{card}")).json()
    assert before["last_reviewed_at"] is None
    assert (await technician.post(f"{CARDS}/{card}/reviewed")).status_code == 403
    stale = await expert.post(f"{CARDS}/{card}/reviewed", headers={"If-Match": '"99"'})
    assert stale.status_code == 412
    seen = (await expert.post(f"{CARDS}/{card}/reviewed")).json()
    assert (seen["version"], seen["edition"]) == (before["version"], before["edition"])
    assert seen["last_reviewed_at"] is not None
    assert seen["last_reviewed_by"] is not None
    outside = (await (await api.as_role(Role.oem)).get(f"{CARDS}/{card}")).json()
    assert outside["last_reviewed_by"] is None
    draft = (await expert.post(CARDS, json=before_content(before))).json()["failure_id"]
    refused = await expert.post(f"{CARDS}/{draft}/reviewed")
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_move")


def before_content(card: dict) -> dict:
    return {name: card[name] for name in ("title", "subsystem_category", "failure_mode")}


async def test_the_summary(api: Api):
    card = await approved(api)
    technician, expert = await api.as_role(Role.technician), await api.as_role(Role.expert)
    for linked in (True, False):
        ticket = (await technician.post("/api/tickets", json={"title": "Stops charging"})).json()["ticket_id"]
        used = {"failure_card_used": card} if linked else {}
        action = {"ticket_id": ticket, "resolution_outcome": "success"} | used
        assert (await technician.post("/api/efi/technician-actions", json=action)).status_code == 201
        assert (await technician.post(f"/api/tickets/{ticket}/resolve", json={"resolution": "x"})).status_code == 200
    found = (await expert.get(HEALTH, params={"days": 30})).json()
    assert (found["cards"]["approved"], found["cards"]["draft"]) == (1, 0)
    assert (found["resolved_tickets"], found["linked_tickets"], found["coverage"]) == (2, 1, 0.5)
    assert found["waiting"] == {"drafts": 0, "median_age_hours": None, "oldest_age_hours": None}
    assert (await technician.get(HEALTH)).status_code == 403


@pytest.mark.parametrize("role", list(Role))
async def test_credit_is_ones_own_whoever_asks(api: Api, role: Role):
    author = await api.add_user(Role.technician)
    mine = await api.signed_in(author)
    card = {"title": "A card of mine", "subsystem_category": "bms", "failure_mode": "degradation"}
    await mine.post(CARDS, json=card)
    assert (await mine.get("/api/users/me/credit")).json()["cards_authored"] == 1
    nosy = await api.as_role(role)
    own = await nosy.get("/api/users/me/credit")
    assert (own.status_code, own.json().get("cards_authored")) == ((403, None) if role is Role.service else (200, 0))
    for query in ({"user_id": author.id}, {"technician_id": author.id}):
        assert (await nosy.get("/api/users/me/credit", params=query)).status_code in (403, 422)
    for path in (f"/api/users/{author.id}/credit", "/api/credit"):
        answer = await nosy.get(path)
        assert answer.status_code in (403, 404), path
        assert "cards_authored" not in answer.text


async def test_a_site_with_few_contributors_shows_nothing(api: Api):
    technician, admin = await api.as_role(Role.technician), await api.as_role(Role.admin)
    await technician.post(CARDS, json={"title": "Mine", "subsystem_category": "bms", "failure_mode": "degradation"})
    shown = await admin.get(f"/api/sites/{api.site.id}/credit")
    assert (shown.status_code, shown.json()) == (200, {"site_id": api.site.id, "figures": None})
    assert (await technician.get(f"/api/sites/{api.site.id}/credit")).status_code == 403
    assert (await admin.get("/api/sites/site_none/credit")).status_code == 404


async def test_no_address_tells_of_another_persons_credit(api: Api):
    """Whatever the API describes: what shows credit takes no user."""
    document = (await (await api.anonymous()).get("/openapi.json")).json()
    showing = [path for path in document["paths"] if "credit" in path]
    assert sorted(showing) == ["/api/sites/{site_id}/credit", "/api/users/me/credit"]
    parameters = document["paths"]["/api/users/me/credit"]["get"].get("parameters", [])
    assert parameters == []
