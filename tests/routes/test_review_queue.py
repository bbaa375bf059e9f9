import pytest

from app.security import Role, acting_as, system
from models.failure_card import CardContent, FailureCard, Review
from routes.api.card_schemas import CARD_EXAMPLE
from services.knowledge import cards, reviews
from services.knowledge.cards import DISCOVERED_CONFIDENCE
from tests.support import Api

PATH = "/api/efi/review-queue"


async def waiting(api: Api) -> tuple[FailureCard, Review]:
    """A draft out of a repair, as the discovery of a failure leaves it."""
    with acting_as(system("test")):
        card = await cards.create(
            CardContent.model_validate(CARD_EXAMPLE),
            created_by="usr_asha",
            source_ticket_id="tkt_1",
            confidence_score=DISCOVERED_CONFIDENCE,
        )
        return card, await reviews.open_for(card)


async def test_a_draft_is_claimed_discussed_and_approved(api: Api):
    expert, technician = await api.as_role(Role.expert), await api.as_role(Role.technician)
    card, review = await waiting(api)

    [listed] = (await expert.get(PATH)).json()["items"]
    assert (listed["review_id"], listed["failure_id"], listed["title"]) == (review.id, card.id, card.title)
    assert (listed["status"], listed["source_ticket_id"]) == ("waiting", "tkt_1")
    assert 0 <= listed["age_hours"] < 1

    claimed = (await expert.post(f"{PATH}/{review.id}/claim")).json()
    assert (claimed["status"], claimed["claim_expires_at"] is None) == ("claimed", False)
    asked = await expert.post(f"{PATH}/{review.id}/comments", json={"text": "Which resistor?"})
    assert asked.status_code == 201
    await technician.post(f"{PATH}/{review.id}/comments", json={"text": "R14"})
    detail = (await technician.get(f"{PATH}/{review.id}")).json()
    assert [comment["text"] for comment in detail["comments"]] == ["Which resistor?", "R14"]
    assert (detail["card"]["failure_id"], detail["card"]["root_cause"]) == (card.id, CARD_EXAMPLE["root_cause"])

    decided = await expert.post(f"{PATH}/{review.id}/decide", json={"decision": "approved"})
    assert (decided.status_code, decided.json()["status"]) == (200, "approved")
    assert (await expert.get(f"/api/efi/failure-cards/{card.id}")).json()["status"] == "approved"
    assert (await expert.get(PATH)).json()["items"] == []
    [past] = (await expert.get(PATH, params={"status": "approved"})).json()["items"]
    assert past["review_id"] == review.id


async def test_a_claim_keeps_others_out(api: Api):
    first, second = await api.as_role(Role.expert), await api.as_role(Role.expert)
    card, review = await waiting(api)
    await first.post(f"{PATH}/{review.id}/claim")
    for path, body in (
        (f"{PATH}/{review.id}/claim", None),
        (f"{PATH}/{review.id}/decide", {"decision": "approved"}),
        (f"/api/efi/failure-cards/{card.id}/approve", {}),
    ):
        refused = await second.post(path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "claimed")
    assert (await second.post(f"{PATH}/{review.id}/release")).status_code == 403
    assert (await first.post(f"{PATH}/{review.id}/release")).json()["status"] == "waiting"
    assert (await second.post(f"{PATH}/{review.id}/claim")).status_code == 200


async def test_a_rejection_needs_a_reason(api: Api):
    expert = await api.as_role(Role.expert)
    card, review = await waiting(api)
    assert (await expert.post(f"{PATH}/{review.id}/decide", json={"decision": "rejected"})).status_code == 422
    answer = await expert.post(f"{PATH}/{review.id}/decide", json={"decision": "rejected", "reason": "known"})
    assert (answer.json()["status"], answer.json()["decision_reason"]) == ("rejected", "known")
    late = await expert.post(f"{PATH}/{review.id}/decide", json={"decision": "approved"})
    assert (late.status_code, late.json()["code"]) == (409, "decided")
    assert (await expert.get(f"/api/efi/failure-cards/{card.id}")).json()["status"] == "draft"


async def test_the_queue_is_filtered(api: Api):
    expert = await api.as_role(Role.expert)
    _, review = await waiting(api)
    for wanted, found in (
        ({"subsystem_category": "bms"}, 1),
        ({"subsystem_category": "motor"}, 0),
        ({"source_type": "internal_analysis"}, 1),
        ({"failure_id": review.card_id}, 1),
        ({"status": "claimed"}, 0),
    ):
        assert len((await expert.get(PATH, params=wanted)).json()["items"]) == found, wanted


async def test_what_was_not_read_is_not_decided(api: Api):
    expert = await api.as_role(Role.expert)
    _, review = await waiting(api)
    await expert.post(f"{PATH}/{review.id}/comments", json={"text": "wait"})
    stale = await expert.post(f"{PATH}/{review.id}/decide", json={"decision": "approved"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "rev_gone"), ("POST", "rev_gone/claim"), ("POST", "rev_gone/release")],
)
async def test_unknown_reviews_are_not_found(api: Api, method: str, path: str):
    expert = await api.as_role(Role.expert)
    assert (await expert.request(method, f"{PATH}/{path}")).status_code == 404
