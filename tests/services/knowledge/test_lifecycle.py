import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from app import clock
from app.database import in_transaction
from app.errors import Forbidden, IllegalMove, Invalid
from app.security import Actor, Role, acting_as
from models.account import User
from models.enums import FailureCardStatus, ReviewStatus
from models.event import EfiEvent, EventType
from models.failure_card import FailureCard, Review
from services.knowledge import access, cards, lifecycle, reviews
from services.knowledge.card_states import MOVES, Move
from tests.services.knowledge.samples import (
    EXPERT,
    OTHER_EXPERT,
    OTHER_TECHNICIAN,
    TECHNICIAN,
    a_card,
    events_of,
    person,
    stored_card,
)

pytestmark = pytest.mark.usefixtures("as_system")
ADMIN = person("root", Role.admin)


async def registered(actor: Actor) -> None:
    await User(
        id=actor.id,
        email=f"{actor.name}@efi.example.com",
        name=actor.name,
        roles=sorted(actor.roles),
        password_hash="-",
    ).insert()


async def submitted(author: Actor = TECHNICIAN) -> tuple[FailureCard, Review]:
    with acting_as(author):
        card = await lifecycle.submit(await cards.create(a_card()))
    review = await reviews.open_review(card.id)
    assert review is not None
    return card, review


async def fresh(card: FailureCard) -> FailureCard:
    return await access.load_visible(card.id)


async def test_the_way_of_a_card():
    card, review = await submitted()
    assert (card.status, card.edition, card.version) == ("pending_review", 2, 1)
    assert (review.status, review.open, review.submitted_by.id) == ("waiting", True, TECHNICIAN.id)

    with acting_as(EXPERT):
        approved = await lifecycle.approve(card, "complete")
        assert (approved.status, approved.approved_by) == ("approved", EXPERT.id)
        assert approved.approved_at is not None
        successor = await stored_card()
        gone = await lifecycle.deprecate(approved, "board redesigned", successor.id)

    assert (gone.status, gone.deprecation_reason, gone.successor_id) == ("deprecated", "board redesigned", successor.id)
    assert gone.edition == 4
    ended = await reviews.get(review.id)
    assert (ended.status, ended.open, ended.decided_by, ended.decision_reason) == (
        "approved",
        False,
        EXPERT.id,
        "complete",
    )
    log = [event.event_type.value for event in await EfiEvent.find({"subject_id": card.id}).sort("_id").to_list()]
    assert log == ["card.created", "card.submitted_for_review", "card.approved", "card.deprecated"]
    [event] = await events_of(EventType.card_submitted)
    assert event.data["review_id"] == review.id


MOVE_CALLS: dict[str, Callable[[FailureCard], Awaitable[FailureCard]]] = {
    "submit": lifecycle.submit,
    "approve": lifecycle.approve,
    "reject": lambda card: lifecycle.reject(card, "incomplete"),
    "deprecate": lambda card: lifecycle.deprecate(card, "superseded"),
    "discard": lambda card: lifecycle.discard(card, "written twice"),
}


@pytest.mark.parametrize("status", list(FailureCardStatus))
@pytest.mark.parametrize("move", MOVE_CALLS)
async def test_every_pair_of_state_and_move(status: FailureCardStatus, move: str):
    card = await stored_card(status=status)
    target = MOVES[status].get(Move(move))
    with acting_as(EXPERT):
        if target is not None:
            assert (await MOVE_CALLS[move](card)).status is target
            return
        with pytest.raises(IllegalMove) as refused:
            await MOVE_CALLS[move](card)
    assert refused.value.extra["current"] == status
    assert refused.value.extra["legal"] == list(dict.fromkeys(MOVES[status].values()))
    assert [way["move"] for way in refused.value.extra["legal_moves"]] == list(MOVES[status])
    assert (await fresh(card)).revision == card.revision
    assert await EfiEvent.find_all().count() == 0


async def test_a_rejected_card_goes_back_to_its_author():
    card, review = await submitted()
    with acting_as(EXPERT):
        back = await lifecycle.reject(card, "no measurement")
    assert back.status == "draft"
    assert (await reviews.get(review.id)).status == "rejected"
    [event] = await events_of(EventType.card_updated)
    assert (event.data["change"], event.data["reason"]) == ("rejected", "no measurement")
    with acting_as(TECHNICIAN):
        better = await cards.edit(back, a_card(root_cause="Measured: open"), edition=back.edition)
        again = await lifecycle.submit(better)
    new = await reviews.open_review(again.id)
    assert new is not None
    assert new.id != review.id


async def test_a_card_submitted_twice_at_once_waits_once():
    card = await stored_card(status="draft", created_by=TECHNICIAN.id)

    async def submit() -> None:
        async def work() -> None:
            await lifecycle.submit(await fresh(card))

        with acting_as(TECHNICIAN):
            await in_transaction(work)

    ends = await asyncio.gather(*(submit() for _ in range(4)), return_exceptions=True)

    assert [type(end) for end in ends if end is not None] == [IllegalMove] * 3
    assert await Review.find({"card_id": card.id}).count() == 1


async def test_a_draft_that_waits_is_approved_in_one_go():
    card = await cards.create(a_card(), created_by=TECHNICIAN.id)
    review = await reviews.open_for(card)
    assert (await reviews.open_for(card)).id == review.id
    with acting_as(EXPERT):
        decided = await lifecycle.decide(review, ReviewStatus.approved, "")
    assert decided.status == "approved"
    assert (await fresh(card)).status == "approved"
    assert len(await events_of(EventType.card_submitted)) == len(await events_of(EventType.card_approved)) == 1


async def test_a_draft_that_waits_can_be_rejected():
    card = await cards.create(a_card(), created_by=TECHNICIAN.id)
    review = await reviews.open_for(card)
    with acting_as(EXPERT):
        decided = await lifecycle.decide(review, ReviewStatus.rejected, "known already")
    assert (decided.status, decided.decision_reason) == ("rejected", "known already")
    assert (await fresh(card)).status == "draft"


async def test_discarding_a_draft_ends_its_review():
    card = await cards.create(a_card(), created_by=TECHNICIAN.id)
    review = await reviews.open_for(card)
    with acting_as(OTHER_TECHNICIAN), pytest.raises(Forbidden):
        await lifecycle.discard(card, "not mine")
    with acting_as(TECHNICIAN):
        assert (await lifecycle.discard(card, "typed twice")).status == "deprecated"
    assert (await reviews.get(review.id)).status == "withdrawn"


async def test_only_author_and_experts_submit():
    card = await stored_card(status="draft", created_by=TECHNICIAN.id)
    with acting_as(OTHER_TECHNICIAN), pytest.raises(Forbidden):
        await lifecycle.submit(card)
    with acting_as(EXPERT):
        assert (await lifecycle.submit(card)).status == "pending_review"


async def test_technicians_do_not_deprecate_what_others_rely_on():
    card = await stored_card(created_by=TECHNICIAN.id)
    with acting_as(TECHNICIAN), pytest.raises(Forbidden):
        await lifecycle.deprecate(card, "mine")


async def test_four_eyes_where_there_are_four():
    await registered(EXPERT)
    await registered(OTHER_EXPERT)
    card, _ = await submitted(EXPERT)
    with acting_as(EXPERT), pytest.raises(lifecycle.OwnCard):
        await lifecycle.approve(card)
    with acting_as(OTHER_EXPERT):
        assert (await lifecycle.approve(card)).approved_by == OTHER_EXPERT.id


async def test_a_sole_expert_approves_their_own_card():
    await registered(EXPERT)
    await registered(TECHNICIAN)
    card, _ = await submitted(EXPERT)
    with acting_as(EXPERT):
        assert (await lifecycle.approve(card)).status == "approved"


@pytest.mark.parametrize("wrong", ["itself", "fc_unknown", "deprecated"])
async def test_a_successor_must_be_usable(wrong: str):
    card, old = await stored_card(), await stored_card(status="deprecated")
    successor = {"itself": card.id, "deprecated": old.id}.get(wrong, wrong)
    with acting_as(EXPERT), pytest.raises(Invalid) as refused:
        await lifecycle.deprecate(card, "superseded", successor)
    assert refused.value.extra["errors"][0]["field"] == "successor_id"
    assert (await fresh(card)).status == "approved"


async def test_two_cards_never_succeed_each_other():
    first, second = await stored_card(), await stored_card()

    async def deprecate(card: FailureCard, successor: FailureCard) -> None:
        async def work() -> None:
            await lifecycle.deprecate(await fresh(card), "superseded", successor.id)

        with acting_as(EXPERT):
            await in_transaction(work)

    ends = await asyncio.gather(deprecate(first, second), deprecate(second, first), return_exceptions=True)

    assert sorted(type(end).__name__ for end in ends) == ["Invalid", "NoneType"]
    assert {(await fresh(first)).status, (await fresh(second)).status} == {"approved", "deprecated"}


async def test_one_of_two_claims_at_once_wins():
    _, review = await submitted()

    async def claim(actor: Actor) -> str:
        async def work() -> Review:
            return await reviews.claim(await reviews.get(review.id))

        with acting_as(actor):
            return (await in_transaction(work)).claimed_by or ""

    ends = await asyncio.gather(claim(EXPERT), claim(OTHER_EXPERT), return_exceptions=True)

    [winner] = [end for end in ends if isinstance(end, str)]
    [loser] = [end for end in ends if isinstance(end, reviews.Claimed)]
    assert loser.extra["claimed_by"] == winner == (await reviews.get(review.id)).claimed_by


async def test_a_claim_keeps_others_out_until_it_expires_or_is_released():
    card, review = await submitted()
    with acting_as(EXPERT):
        review = await reviews.claim(review)
        assert (await reviews.claim(review)).claimed_by == EXPERT.id
    review = await reviews.get(review.id)
    with acting_as(OTHER_EXPERT):
        with pytest.raises(reviews.Claimed):
            await lifecycle.approve(card)
        with pytest.raises(reviews.Claimed):
            await reviews.claim(review)
        with pytest.raises(Forbidden):
            await reviews.release(review)
    with acting_as(ADMIN):
        review = await reviews.release(review)
        assert (review.status, review.claimed_by) == ("waiting", None)
        assert await reviews.release(review) == review
    with acting_as(EXPERT):
        review = await reviews.claim(review)
    past = clock.now() - timedelta(seconds=1)
    await Review.get_pymongo_collection().update_one({"_id": review.id}, {"$set": {"claim_expires_at": past}})
    with acting_as(OTHER_EXPERT):
        assert (await lifecycle.approve(card)).status == "approved"


async def test_a_decided_review_has_ended():
    _, review = await submitted()
    with acting_as(EXPERT):
        ended = await lifecycle.decide(review, ReviewStatus.approved, "")
        for late in (reviews.claim(ended), reviews.release(ended), lifecycle.decide(ended, ReviewStatus.approved, "")):
            with pytest.raises(reviews.Decided):
                await late


async def test_comments_stay_with_the_review():
    _, review = await submitted()
    with acting_as(EXPERT):
        review = await reviews.comment(review, "Which resistor?")
    with acting_as(TECHNICIAN):
        review = await reviews.comment(review, "R14")
    assert [(line.author.id, line.text) for line in review.comments] == [
        (EXPERT.id, "Which resistor?"),
        (TECHNICIAN.id, "R14"),
    ]


async def test_the_queue_shows_what_waits_longest_first():
    first, second = (await submitted())[1], (await submitted())[1]
    with acting_as(EXPERT):
        await reviews.claim(second)
        third = (await submitted())[1]
        await lifecycle.decide(third, ReviewStatus.approved, "")

    async def listed(**wanted: object) -> list[str]:
        return [review.id for review in (await reviews.list_reviews(**wanted)).items]

    assert await listed() == [first.id, second.id]
    assert await listed(status=ReviewStatus.claimed) == [second.id]
    assert await listed(status=ReviewStatus.approved) == [third.id]
    assert await listed(subsystem_category="bms") == [first.id, second.id]
    assert await listed(subsystem_category="motor") == []
    assert await listed(card_id=first.card_id) == [first.id]


async def test_the_queue_shows_a_new_title():
    card, review = await submitted()
    with acting_as(EXPERT):
        await cards.edit(card, a_card(title="Balancing resistor open"), edition=card.edition)
    assert (await reviews.get(review.id)).card_title == "Balancing resistor open"
