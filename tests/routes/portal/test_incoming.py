"""A version from another service on the review page."""

from app.database import in_transaction
from app.security import Role, acting_as, system
from models.enums import ReviewStatus
from models.failure_card import FailureCard
from models.network import CardItem, IncomingKind, IncomingVersion
from services.knowledge import lifecycle, reviews
from services.knowledge.network import identity, public, publishing
from services.knowledge.network.publishing import lineages_of, publish
from services.writing import update
from tests.routes.portal.test_http import visitor
from tests.services.knowledge.samples import a_card, stored_card
from tests.support import Api


async def conflict(theirs: str) -> tuple[FailureCard, str]:
    """A card whose cause reads otherwise at a service that has not seen ours; and the review of it."""
    card = await stored_card(approved_by="usr_1", approved_at=publishing.clock.now(), version=1)
    await identity.own()

    async def hold() -> str:
        await publish([card.id])
        lineage = (await lineages_of([card.id]))[card.id]
        shown = public.public_card(a_card(root_cause=theirs), card.status)
        item = CardItem(
            network_id=card.id, origin=lineage.origin, base_score=0.5, version=2, vector={"node_x": 1}, card=shown
        )
        incoming = IncomingVersion(
            id=f"{card.id}|x",
            network_id=card.id,
            card_id=card.id,
            peer_id="node_x",
            kind=IncomingKind.conflict,
            fingerprint=public.fingerprint(shown),
            item=item,
        )
        await incoming.insert()
        review = await update(await reviews.open_for(card), {"incoming_id": incoming.id})
        return review.id

    return card, await in_transaction(hold)


async def test_an_expert_sees_both_versions_until_it_is_decided(api: Api):
    with acting_as(system("test")):
        card, review_id = await conflict("The connector is corroded")
    expert = await visitor(api, await api.add_user(Role.expert))
    path = f"/reviews/{review_id}"

    page = (await expert.get(path)).text
    assert "From another service" in page
    assert card.root_cause in page
    assert "The connector is corroded" in page

    assert "Take theirs over" in page

    with acting_as(system("test")):
        await lifecycle.decide(await reviews.get(review_id), ReviewStatus.approved, "")
        decided = await FailureCard.find_one({"_id": card.id})
    assert (decided.root_cause, decided.version) == ("The connector is corroded", 3)
    assert "From another service" not in (await expert.get(path)).text
