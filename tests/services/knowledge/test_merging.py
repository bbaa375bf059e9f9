"""Merging as a write: all or nothing, against others at the same time, by indexes, in chains that end."""

import asyncio
import random

import pytest

from app import clock
from app.database import connect, disconnect, in_transaction
from app.errors import Conflict, EfiError, Forbidden, Stale
from app.security import acting_as
from models import ALL_DOCUMENTS
from models.enums import FailureCardStatus
from models.event import EfiEvent
from models.failure_card import CardVersion, FailureCard
from models.knowledge_relation import KnowledgeRelation
from models.learning import CardEvidence, CardOutcome
from models.ticket import Ticket
from services.knowledge import cards, confidence, graph_edges, lifecycle, merging, relations
from services.knowledge.evidence_rows import POOLED
from services.knowledge.learning import fix_rate
from services.knowledge.survivors import survivor, survivors
from tests.query_plans import watched
from tests.services.knowledge.samples import EXPERT, OTHER_EXPERT, TECHNICIAN, a_card, a_ticket, stored_card

pytestmark = pytest.mark.usefixtures("as_system")


async def merge(card: FailureCard, into: FailureCard, **how: object) -> FailureCard:
    """As a request does it: reading and writing are one unit, repeated when another writer got in between."""

    async def work() -> FailureCard:
        fresh = await FailureCard.get(card.id)
        return await merging.merge(fresh, into.id, reason="one failure", **how)

    with acting_as(EXPERT):
        return await in_transaction(work)


async def outcome(card: FailureCard, success: bool, actions: list[str], ticket: Ticket | None = None) -> None:
    """As a workflow records it: for the card that stands for it at that moment."""
    ticket = ticket or await a_ticket()

    async def work() -> None:
        present = await survivor(card.id)
        await confidence.record_outcome(present, ticket, 1, actions, success, "done", clock.now(), "evt_1")

    await in_transaction(work)


async def test_only_experts_and_admins_merge():
    card, into = await stored_card(created_by=TECHNICIAN.id, status="draft"), await stored_card()
    with acting_as(TECHNICIAN), pytest.raises(Forbidden):
        await merging.merge(card, into.id, reason="mine")


async def test_of_two_merges_in_opposite_directions_one_wins():
    one, other = await stored_card(), await stored_card()

    async def attempt(card: FailureCard, into: FailureCard) -> bool:
        try:
            await merge(card, into)
        except (Conflict, Stale):
            return False
        return True

    done = await asyncio.gather(attempt(one, other), attempt(other, one))
    assert sorted(done) == [False, True]
    fresh = [await FailureCard.get(card.id) for card in (one, other)]
    assert sorted(card.status for card in fresh) == ["approved", "deprecated"]
    assert sum(card.merged_into is not None for card in fresh) == 1


async def test_an_outcome_at_the_same_time_is_not_lost():
    kept, retired = await stored_card(), await stored_card()
    await asyncio.gather(merge(retired, kept), *(outcome(retired, True, [f"act_{n}"]) for n in range(3)))
    fresh = await FailureCard.get(kept.id)
    assert (fresh.usage_count, fresh.success_count) == (3, 3)
    row = await CardEvidence.get(f"{kept.id}|{POOLED}")
    assert (row.outcomes, row.successes) == (3, pytest.approx(3))


async def test_a_merge_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch):
    kept, retired = await stored_card(), await stored_card()
    await outcome(retired, True, ["act_1"])
    await graph_edges.link_card(retired)
    before = [await model.find().sort("_id").to_list() for model in (FailureCard, CardEvidence, KnowledgeRelation)]

    async def breaks(*_: object) -> None:
        raise EfiError("the power went")

    monkeypatch.setattr(merging, "_retire", breaks)
    with pytest.raises(EfiError, match="the power went"):
        await merge(retired, kept)
    after = [await model.find().sort("_id").to_list() for model in (FailureCard, CardEvidence, KnowledgeRelation)]
    assert after == before
    assert await CardVersion.count() == 0
    monkeypatch.undo()
    assert (await merge(retired, kept)).usage_count == 1


async def test_doing_it_again_changes_nothing():
    kept, retired = await stored_card(), await stored_card(error_codes=["P1B01"])
    first = await merge(retired, kept, take=["error_codes"])
    events = await EfiEvent.count()
    assert await merge(retired, kept, take=["error_codes"]) == first
    assert await EfiEvent.count() == events


async def test_a_card_with_hundreds_of_edges_and_variants():
    vehicles = [{"make": f"Make {n}", "model": "X"} for n in range(300)]
    kept, retired = await stored_card(), await stored_card(vehicle_models=vehicles)
    await graph_edges.link_card(retired)
    rows = [
        CardEvidence(id=f"{retired.id}|v|{n}|", card_id=retired.id, variant=f"v|{n}|", successes=1, as_of=clock.now())
        for n in range(300)
    ]
    await CardEvidence.insert_many(rows)
    merged = await merge(retired, kept, take=["vehicle_models"])
    assert len(merged.vehicle_models) == 301
    assert await KnowledgeRelation.find({"target_id": kept.id}).count() == 300
    assert await CardEvidence.find({"card_id": kept.id}).count() == 301


async def test_edges_between_both_go_and_equal_ones_add_up():
    kept, retired = await stored_card(), await stored_card()
    for card in (kept, retired):
        await graph_edges.link_card(card)
    edge = await KnowledgeRelation.find_one({"source_id": retired.id, "target_id": "bms"})
    await relations.write([relations.observed(edge, edge.created_at, support=2)])
    await graph_edges.relate_similar(kept, {retired.id: 0.9})
    await merge(retired, kept)
    left = await KnowledgeRelation.find({"ended_at": None}).to_list()
    assert {edge.source_id for edge in left} | {edge.target_id for edge in left} == {kept.id, "bms", "ather|450x"}
    (subsystem,) = [edge for edge in left if edge.target_id == "bms"]
    assert (subsystem.evidence_count, subsystem.weight) == (2, pytest.approx((4 * 0.5 + 2) / 6, abs=0.01))


async def test_chains_end_at_the_card_that_is_left_and_it_takes_further_ones():
    a, b, c, d = [await stored_card() for _ in range(4)]
    await merge(a, b)
    await merge(b, c)
    await merge(d, c)
    assert await survivors([a.id, b.id, c.id, d.id, "fc_none"]) == {a.id: c.id, b.id: c.id, d.id: c.id}
    assert (await FailureCard.get(c.id)).merged_from == [d.id, b.id, a.id]
    with pytest.raises(merging.AlreadyMerged, match=c.id):
        await merge(b, d)
    with acting_as(OTHER_EXPERT):
        gone = await lifecycle.deprecate(await FailureCard.get(c.id), "redesigned")
    assert gone.status is FailureCardStatus.deprecated
    with acting_as(EXPERT), pytest.raises(Conflict):
        await cards.edit(await FailureCard.get(a.id), a_card(), edition=2)


@pytest.mark.parametrize("seed", range(4))
async def test_in_whatever_order_cards_are_merged_each_passage_counts_once(seed: int):
    """Against a plain count over the ledger: of each passage the outcome recorded by the latest action."""
    chance = random.Random(seed)
    pool = [await stored_card() for _ in range(5)]
    tickets = [await a_ticket() for _ in range(9)]
    last: dict[str, bool] = {}
    used: set[tuple[str, str]] = set()
    for number in range(25):
        card, ticket, success = chance.choice(pool), chance.choice(tickets), chance.random() < 0.6
        if (card.id, ticket.id) not in used:
            await outcome(card, success, [f"act_{number:03d}"], ticket)
            used.add((card.id, ticket.id))
            last[ticket.id] = success
    while len(pool) > 1:
        card = pool.pop(chance.randrange(len(pool)))
        await merge(card, chance.choice(pool))
    (left,) = pool
    fresh = await FailureCard.get(left.id)
    counted = [one for one in await CardOutcome.find().to_list() if one.superseded_at is None]
    assert fresh.usage_count == len(counted) == len(last)
    assert fresh.success_count == sum(last.values())
    assert fresh.failure_count == fresh.usage_count - fresh.success_count
    row = await CardEvidence.get(f"{left.id}|{POOLED}")
    assert row.outcomes == fresh.usage_count
    assert (row.successes, row.failures) == (
        pytest.approx(fresh.success_count, abs=1e-4),
        pytest.approx(fresh.failure_count, abs=1e-4),
    )
    rate = fix_rate(confidence.row_of(row).sums)
    assert fresh.evidence_mean == pytest.approx(rate.mean)


async def test_every_query_of_a_merge_has_its_index(database_url: str, database_name: str):
    await disconnect()
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        first, second, third = [await stored_card() for _ in range(3)]
        for card in (first, second):
            await outcome(card, True, ["act_1"])
            await graph_edges.link_card(card)
        await merge(first, second)
        await merge(second, third)
        assert await queries.scans(database) == set()
