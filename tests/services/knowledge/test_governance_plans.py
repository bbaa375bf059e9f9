"""Nothing that governs the knowledge reads a whole collection where an index can answer."""

from app.database import connect, disconnect
from app.security import acting_as
from models import ALL_DOCUMENTS
from models.account import Site
from models.governance import DueReason, FlagKind, FlagStatus, ProposalStatus
from services.knowledge import credit, firmware, flags, health, health_summary, merging, proposals, use_review
from services.knowledge.firmware import ESTABLISHED
from tests.query_plans import watched
from tests.services.knowledge.samples import EXPERT, TECHNICIAN, a_card, stored_card
from tests.services.knowledge.test_flags import approved, flagged
from tests.services.knowledge.test_health import used


async def a_flags_life() -> None:
    card, other = await approved(), await approved()
    await flagged(card)
    flag = await flagged(card)
    with acting_as(TECHNICIAN):
        proposal = await proposals.propose(flag, a_card(root_cause="A blown fuse"), "measured")
        await proposals.list_proposals(flag_id=flag.id, limit=1)
    with acting_as(EXPERT):
        await proposals.compare(proposal)
        await proposals.accept(proposal)
        await proposals.list_proposals(status=ProposalStatus.accepted, card_id=card.id)
    await flagged(card, FlagKind.unclear)
    with acting_as(EXPERT):
        await merging.merge(await flags.present_card(card.id), other.id, reason="one failure")
        await flags.close_all(await flags.present_card(other.id), "out of use")
        await flags.list_flags(status=FlagStatus.open, kind=FlagKind.wrong)
        await flags.list_flags(card_id=card.id, status=FlagStatus.open)


async def rounds_of_the_timer() -> None:
    vehicles = [{"make": "Ather", "model": "450X", "firmware_versions": ["4.1"]}]
    card = await stored_card(vehicle_models=vehicles, rejected_count=9)
    await used(card, 1)
    await health.look()
    for _ in range(ESTABLISHED):
        await firmware.see("Ather", "450X", "4.2")
    await health.look()
    for reason in (None, *DueReason):
        page = await health.list_due(reason=reason, subsystem_category="bms", limit=1)
        await health.list_due(reason=reason, after=page.next)
    with acting_as(EXPERT):
        await health.reviewed(await flags.present_card(card.id))
    await use_review.by_use(await flags.present_card(card.id))
    await health_summary.summary()
    with acting_as(TECHNICIAN):
        await credit.mine()
    site = await Site(name="Pune").insert()
    await credit.of_site(site.id)


async def test_every_query_has_its_index(as_system, database_url, database_name):
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        await a_flags_life()
        await rounds_of_the_timer()
    # The first round of the timer streams all cards, once in a store's life and after a change of its setting. How many
    # cards there are in all is what the store knows of the collection, not a query.
    assert await queries.scans(database) <= {"find failure_cards {}", "count failure_cards {}"}
