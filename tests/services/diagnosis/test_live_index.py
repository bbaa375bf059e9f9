"""The index follows the store: at once in the same process, when it looks next in another."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app import clock
from app.database import transaction
from matching import Case
from models.enums import FailureCardStatus, FailureMode, NodeType, RelationType, SubsystemCategory
from models.failure_card import CardContent
from models.knowledge_relation import KnowledgeRelation, RelationContent
from models.symptom import SymptomContent
from services.diagnosis import matches
from services.diagnosis.live_index import LiveIndex
from services.diagnosis.matches import MatchOptions
from services.diagnosis.store_reading import documents
from services.knowledge import cards, lifecycle, relations, symptoms
from tests.services.diagnosis.conftest import approved, retitled

pytestmark = pytest.mark.usefixtures("as_system")

CASE = Case(text="the mute hooter again")


@pytest.fixture
async def elsewhere(as_system: None) -> AsyncIterator[LiveIndex]:
    """The index of another replica: it hears of nothing and has to poll."""
    index = LiveIndex(poll_seconds=0.2)
    index._note = lambda _: None  # type: ignore[method-assign]
    await index.start()
    yield index
    await index.stop()


@pytest.fixture
async def here(as_system: None) -> AsyncIterator[LiveIndex]:
    index = LiveIndex(poll_seconds=30)
    await index.start()
    matches.serve(index)
    yield index
    matches.serve(None)
    await index.stop()


async def looked(index: LiveIndex) -> None:
    """Wait until the index has read, by itself, what has been committed by now."""
    committed = clock.now()
    async with asyncio.timeout(30):
        while index._read_until <= committed:
            await asyncio.sleep(0.005)


async def found(text: str, **options: Any) -> list[str]:
    matched = await matches.match(Case(text=text), MatchOptions(**options))
    return [candidate.card_id for candidate in matched.result.candidates]


async def test_a_card_approved_here_is_matched_by_the_next_question(here: LiveIndex):
    card = await approved("Regen brake chatter")
    assert await found("regen brake chatter") == [card.id]


async def test_a_card_approved_on_one_replica_is_matched_on_another_when_that_looks_next(
    here: LiveIndex, elsewhere: LiveIndex
):
    card = await approved("Regen brake chatter")
    await looked(elsewhere)
    assert card.id in elsewhere.index
    assert elsewhere.matcher.match(Case(text="regen brake chatter")).candidates[0].card_id == card.id


async def test_how_far_the_index_has_read_is_told(elsewhere: LiveIndex):
    await approved("Regen brake chatter")
    committed = clock.now().timestamp()
    await looked(elsewhere)
    assert committed < REGISTRY.get_sample_value("efi_index_read_until_seconds") <= clock.now().timestamp()


async def test_edits_and_deprecation_reach_both(here: LiveIndex, elsewhere: LiveIndex):
    card = await approved("Regen brake chatter")
    assert await found("regen brake chatter") == [card.id]
    await looked(elsewhere)
    assert card.id in elsewhere.index
    edited = await retitled(card, "Horn silent")
    assert await found("horn silent") == [card.id]
    await looked(elsewhere)
    assert elsewhere.index.get(card.id).title == "Horn silent"
    await lifecycle.deprecate(edited, "wrong")
    assert await found("horn silent") == []
    await looked(elsewhere)
    assert card.id not in elsewhere.index
    # And stays away, however often it is looked at.
    await elsewhere.refresh()
    assert card.id not in elsewhere.index


async def test_drafts_are_matched_on_request_only(here: LiveIndex):
    card = await cards.create(
        CardContent(title="Horn silent", subsystem_category=SubsystemCategory.bms, failure_mode=FailureMode.erratic)
    )
    assert card.status is FailureCardStatus.draft
    assert await found("horn silent") == []
    assert await found("horn silent", include_drafts=True) == [card.id]


async def test_what_was_rolled_back_is_never_indexed(here: LiveIndex):
    with pytest.raises(RuntimeError, match="given up"):
        async with transaction():
            await approved("Horn silent")
            raise RuntimeError("given up")
    await here.refresh()
    assert await found("horn silent", include_drafts=True) == []


async def test_a_question_within_a_transaction_sees_what_was_committed_before(here: LiveIndex):
    card = await approved("Horn silent")
    async with transaction():
        assert await found("horn silent") == [card.id]


async def test_a_restart_loads_everything_but_what_is_deprecated(here: LiveIndex):
    kept = [await approved(f"Failure number {n}") for n in range(5)]
    gone = await approved("Gone")
    await lifecycle.deprecate(gone, "wrong")
    steps = []
    restarted = LiveIndex()
    assert await restarted.load(lambda done, total: steps.append((done, total))) == 5
    assert {card.card_id for card in restarted.index} == {card.id for card in kept}
    assert steps[0] == (5, 5)
    done, total = steps[-1]  # how many await a vector depends on how far the other index has come
    assert done == total


async def mute_horn() -> None:
    """A symptom that leads to an approved card."""
    card = await approved("Horn silent")
    await symptoms.create(
        SymptomContent(
            symptom_code="SYM_HORN_001",
            name="No sound",
            category=SubsystemCategory.low_voltage,
            synonyms=["mute hooter"],
        )
    )
    edge = RelationContent(
        source_type=NodeType.symptom,
        source_id="SYM_HORN_001",
        source_label="No sound",
        relation_type=RelationType.indicates,
        target_type=NodeType.failure_card,
        target_id=card.id,
        target_label="Horn silent",
        weight=0.9,
    )
    await relations.create(edge)


async def test_new_symptoms_and_edges_are_followed(elsewhere: LiveIndex):
    await mute_horn()
    await looked(elsewhere)
    found = elsewhere.matcher.match(CASE, scorer="calibrated").candidates[0]
    assert found.matched_symptoms == ("SYM_HORN_001",)
    assert elsewhere.matcher.symptoms(CASE) == ("SYM_HORN_001",)


async def test_what_comes_while_the_store_is_compared_is_not_forgotten(
    here: LiveIndex, monkeypatch: pytest.MonkeyPatch
):
    async def read_before(*asked: Any) -> AsyncIterator[Any]:
        found = [document async for document in documents(*asked)]
        if asked[0] is KnowledgeRelation and not here.matcher.symptoms(CASE):
            await mute_horn()
            await here.refresh()
            assert here.matcher.symptoms(CASE) == ("SYM_HORN_001",)
        for document in found:
            yield document

    monkeypatch.setattr("services.diagnosis.live_index.documents", read_before)
    await here.reconcile(idle=0.1)
    found = here.matcher.match(CASE, scorer="calibrated").candidates[0]
    assert found.matched_symptoms == ("SYM_HORN_001",)


async def test_a_comparison_does_not_put_the_polling_back(here: LiveIndex):
    await here.refresh()
    read_until = here._read_until
    here._has_read(read_until - timedelta(minutes=1))
    assert here._read_until == read_until
