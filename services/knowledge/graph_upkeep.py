"""The graph as a whole: made to say what all cards state, and brought over from its older form."""

from collections.abc import AsyncIterator, Callable

from pymongo import UpdateOne

from app.database import in_transaction
from models.enums import CreationMethod
from models.failure_card import FailureCard
from models.knowledge_relation import KnowledgeRelation
from services.knowledge import graph_edges, relations
from services.knowledge.edge_weights import HAND_MADE_LIMIT, UNSTATED_CONFIDENCE, UNSTATED_WEIGHT, Strength, sample_of
from services.knowledge.learning import Decayed
from services.knowledge.relations import Change

CARDS_AT_ONCE = 20
EDGES_AT_ONCE = 500

Progress = Callable[[int], None]


async def relink(progress: Progress | None = None) -> int:
    """Link every card anew (`graph_edges.link_card`); returns how many edges changed. `progress(cards)` follows it."""
    changed = 0
    async for batch in cards():

        async def work(batch: list[FailureCard] = batch) -> int:
            return sum([await graph_edges.link_card(card) for card in batch if card.merged_into is None])

        changed += await in_transaction(work)
        if progress is not None:
            progress(len(batch))
    return changed


async def cards() -> AsyncIterator[list[FailureCard]]:
    """Every card, a few at a time."""
    after = ""
    while batch := await FailureCard.find({"_id": {"$gt": after}}).sort([("_id", 1)]).limit(CARDS_AT_ONCE).to_list():
        after = batch[-1].id
        yield batch


async def bring_over() -> dict[str, int]:
    """Give edges of the older form, without ends and base, what walks need; then link every card anew. Repeatable."""
    brought, after = 0, ""
    while batch := await _edges_beyond(after):
        after = batch[-1].id
        older = [edge for edge in batch if not edge.ends and edge.ended_at is None]
        await in_transaction(lambda older=older: relations.write(map(_brought_over, older)))
        brought += len(older)
    return {"edges": brought, "linked": await relink()}


async def _edges_beyond(after: str) -> list[KnowledgeRelation]:
    return await KnowledgeRelation.find({"_id": {"$gt": after}}).sort([("_id", 1)]).limit(EDGES_AT_ONCE).to_list()


FORMER_INDEXES = ("ends_1_slot_1", "_id_1_revision_1")


async def draw_samples() -> dict[str, int]:
    """Put edges that were made before there were samples into theirs, and drop the indexes that nothing reads any more.

    Repeatable. Not a change of the edges: their revision stays.
    """
    collection = KnowledgeRelation.get_pymongo_collection()
    drawn, after = 0, ""
    while batch := await _edges_beyond(after):
        after = batch[-1].id
        samples = {edge.id: sample for edge in batch if (sample := sample_of(edge.id)) != edge.sample}
        if samples:
            await collection.bulk_write([UpdateOne({"_id": i}, {"$set": {"sample": s}}) for i, s in samples.items()])
        drawn += len(samples)
    present = await collection.index_information()
    dropped = [name for name in FORMER_INDEXES if name in present]
    for name in dropped:
        await collection.drop_index(name)
    return {"edges": drawn, "indexes": len(dropped)}


def _brought_over(edge: KnowledgeRelation) -> Change:
    """Older edges counted their own making as the first observation, and did not tell who stated them: those that a
    card states will be stated again, hand-made ones keep what they may start from."""
    by_hand = edge.creation_method is CreationMethod.manual
    base = min(edge.weight, HAND_MADE_LIMIT) if by_hand else UNSTATED_WEIGHT
    seen = max(0, edge.evidence_count - by_hand)
    sums = Decayed(edge.last_observed or edge.created_at, float(seen))
    confidence = HAND_MADE_LIMIT if by_hand else UNSTATED_CONFIDENCE
    fields = {"stated": by_hand, "sample": sample_of(edge.id), "evidence_count": seen, "counter_count": 0}
    return Change(edge, fields | relations.reckoned(edge, Strength(base, confidence, sums)))
