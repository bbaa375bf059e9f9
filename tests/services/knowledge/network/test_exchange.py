"""What travels, and what becomes of it at the other side."""

from services.knowledge import cards
from tests.services.knowledge.network.conftest import Found
from tests.services.knowledge.samples import a_card


async def test_an_approved_card_travels_and_stays_approved(found_sites: Found):
    one, other = await found_sites(2)
    card = await one.approved()
    draft = await one.do(lambda: cards.create(a_card(title="A draft")))

    assert await other.pull(one) == 1

    there = await other.card(card.id)
    assert (there.status, there.version, there.title) == ("approved", 1, card.title)
    assert there.created_by == there.approved_by == one.node_id
    assert draft.id not in await other.lineages()
    assert await other.pull(one) == 0
