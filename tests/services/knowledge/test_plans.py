"""No service of knowledge reads a whole collection where an index can answer."""

from app import clock
from app.database import connect, disconnect, in_transaction
from app.security import acting_as
from models import ALL_DOCUMENTS
from models.enums import ReviewStatus
from models.symptom import SymptomContent
from services.knowledge import (
    access,
    cards,
    confidence,
    graph_edges,
    lifecycle,
    loading,
    relations,
    reviews,
    symptoms,
    versions,
)
from services.knowledge.cards import CardFilter
from tests.query_plans import watched
from tests.services.knowledge.samples import EXPERT, TECHNICIAN, a_card, a_ticket
from tests.services.knowledge.test_cards import FILTERS


async def a_cards_life() -> None:
    await symptoms.create(SymptomContent(symptom_code="SYM_BATT_001", name="Range drops", category="battery"))
    with acting_as(TECHNICIAN):
        card = await cards.create(a_card(symptom_codes=["SYM_BATT_001"]))
        card = await cards.edit(card, a_card(title="Balancing resistor open"), edition=1)
        card = await lifecycle.submit(card)
    with acting_as(EXPERT):
        review = await reviews.claim((await reviews.list_reviews()).items[0])
        review = await reviews.comment(review, "which one?")
        await lifecycle.decide(review, ReviewStatus.approved, "")
    await versions.list_versions(card.id, limit=1, after="2")
    await versions.diff(card.id, 1, 2)
    ticket = await a_ticket()
    await in_transaction(
        lambda: confidence.record_outcome(card.id, ticket, 1, [], True, "resolved", clock.now(), "evt_1")
    )
    await in_transaction(lambda: confidence.take_back(ticket.id, 1, "came back", "evt_2"))
    await confidence.evidence_of(card.id)
    approved = await access.load_visible(card.id)
    for _ in range(2):
        await in_transaction(lambda: graph_edges.link_card(approved))
        await in_transaction(lambda: graph_edges.relate_similar(approved, {approved.id: 1.0}))
        await loading.upsert_by_natural_key([("a", a_card())])
    seen = ticket.model_copy(update={"symptom_codes": ["SYM_BATT_001"]})
    use = graph_edges.CardUse(card.id, worked=True, parts=[("Fuse", "")])
    await in_transaction(lambda: graph_edges.observe_passage(seen, 1, [use], ticket.created_at))
    await in_transaction(lambda: graph_edges.doubt(seen, [card.id], ticket.created_at))
    await in_transaction(lambda: graph_edges.take_back(ticket.id, 1))
    await relations.refresh_faded()
    with acting_as(EXPERT):
        await lifecycle.deprecate(await access.load_visible(card.id), "redesigned")


async def every_list() -> None:
    for wanted in ([name] for name in FILTERS):
        await cards.list_cards(CardFilter(**{name: FILTERS[name] for name in wanted}))
    page = await cards.list_cards(CardFilter(**FILTERS, model="S1"))
    assert page.items == []
    first = await cards.list_cards(CardFilter(status="approved"), limit=1)
    await cards.list_cards(CardFilter(status="approved", tag="x"), after=first.next)
    await reviews.list_reviews(status=ReviewStatus.approved, subsystem_category="bms", card_id="fc_1")
    await reviews.list_reviews(subsystem_category="bms")
    await symptoms.list_symptoms(category="battery", code_prefix="SYM_BATT", safety_critical=True)
    await relations.list_relations(source_id="SYM_BATT_001", relation_type="indicates")
    await relations.list_relations(target_id="bms")


async def test_every_query_has_its_index(as_system, database_url, database_name):
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        await a_cards_life()
        await loading.upsert_by_natural_key([("b", a_card()), ("c", a_card())])
        await every_list()
    assert await queries.scans(database) == set()
