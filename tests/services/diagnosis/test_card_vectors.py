"""No text is embedded twice, vectors of different embedders never mix, and nothing waits for either."""

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from prometheus_client import REGISTRY

from matching import Case, Embedder
from models.embedding import CardVector
from services.diagnosis import embedding, vectors
from services.diagnosis.live_index import LiveIndex
from services.knowledge import lifecycle
from tests.query_plans import watched
from tests.services.diagnosis.conftest import WatchedEmbedder, approved, retitled

pytestmark = pytest.mark.usefixtures("as_system")

TITLES = ["Regen brake chatter", "Horn silent after rain", "Hub motor noise", "Cell group low"]


async def kept() -> dict[str, set[str]]:
    """Card ids by embedder."""
    found: dict[str, set[str]] = {}
    async for vector in CardVector.find():
        found.setdefault(vector.embedder, set()).add(vector.card_id)
    return found


async def loaded(embedder: Embedder | None, **options: object) -> LiveIndex:
    """An index that has done all its work."""
    index = LiveIndex(embedder, **options)
    await index.read()
    await index.embedding.finish()
    return index


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def running(as_system: None) -> AsyncIterator[Callable[..., LiveIndex]]:
    started: list[LiveIndex] = []

    async def start(embedder: Embedder | None, **options: object) -> LiveIndex:
        index = LiveIndex(embedder, **{"poll_seconds": 0.1, **options})
        await index.start()
        started.append(index)
        return index

    yield start
    for index in started:
        await index.stop()


async def test_what_was_embedded_once_is_read_by_everybody_else():
    cards = [await approved(title) for title in TITLES]
    first, second = WatchedEmbedder(), WatchedEmbedder()
    one, other = await loaded(first), await loaded(second)
    assert sorted(first.embedded) == sorted(TITLES)
    assert second.embedded == []
    for card in cards:
        np.testing.assert_allclose(one.index.vector(card.id), other.index.vector(card.id), atol=0.005)


async def test_only_changed_text_is_embedded_again(running):
    card, other = await approved(TITLES[0]), await approved(TITLES[1])
    embedder = WatchedEmbedder()
    live = await running(embedder)
    await until(lambda: len(embedder.embedded) == 2 and not live.index.awaiting(embedder.name))
    embedder.embedded.clear()
    edited = await retitled(card, "Regen brake squeals")
    await until(lambda: embedder.embedded == ["Regen brake squeals"] and not live.index.awaiting(embedder.name))
    # Another field: the card is indexed anew, its text is as it was.
    await lifecycle.deprecate(other, "wrong")
    await until(lambda: other.id not in live.index)
    assert embedder.embedded == ["Regen brake squeals"]
    async with asyncio.timeout(30):  # the index lets go of a card before its vector is dropped
        while (await kept())[embedder.name] != {edited.id}:
            await asyncio.sleep(0.01)
    again = WatchedEmbedder()
    await loaded(again)
    assert again.embedded == []


async def test_vectors_of_different_embedders_never_mix():
    card = await approved(TITLES[0])
    one, other = WatchedEmbedder(name="one"), WatchedEmbedder(name="other")
    await loaded(one)
    (vector,) = await CardVector.find().to_list()
    texts = {card.id: TITLES[0]}
    assert (await vectors.read("one", texts)).keys() == {card.id}
    assert await vectors.read("other", texts) == {}
    assert await vectors.read("one", {card.id: "another text"}) == {}
    live = await loaded(other)
    assert other.embedded == TITLES[:1]
    assert live.index.embedder.name == "other"
    # The former embedder's are dropped once the new ones are complete.
    assert await kept() == {"other": {card.id}}
    assert len(vector.vector) == 2 * one.dimension


async def test_cards_are_matched_while_they_wait_for_their_vectors(running):
    cards = [await approved(title) for title in TITLES]
    embedder = WatchedEmbedder()
    embedder.reason = "the model is away"
    live = await running(embedder)
    await until(lambda: bool(live.embedding.trouble))
    assert len(live.index) == len(cards)
    assert live.embedding.running
    embedder.reason = ""
    result = live.matcher.match(Case("horn silent"), scorer="calibrated")
    assert result.candidates[0].card_id == cards[1].id
    assert result.candidates[0].channels["semantic"] == 0
    assert REGISTRY.get_sample_value("efi_index_cards_to_embed") == len(cards)
    live.embedding.wake()
    await until(lambda: not live.index.awaiting(embedder.name))
    assert live.matcher.match(Case("horn silent")).candidates[0].channels["semantic"] > 0
    await until(lambda: REGISTRY.get_sample_value("efi_index_cards_to_embed") == 0)
    await until(lambda: not live.embedding.trouble)


async def test_the_former_embedder_serves_until_the_new_one_has_seen_every_card(running):
    cards = [await approved(title) for title in TITLES]
    former = WatchedEmbedder(name="former")
    await loaded(former)
    wanted = WatchedEmbedder(128, name="wanted")
    wanted.reason = "the model is away"
    live = await running(wanted, former={"former": former}.get)
    await until(lambda: bool(live.embedding.trouble))
    served = live.matcher.match(Case("horn silent after rain"))
    assert served.embedder == "former"
    assert not served.channels_off
    assert served.candidates[0].channels["semantic"] > 0.9
    # What comes meanwhile is embedded by the one that serves.
    late = await approved("Charging gun stuck")
    wanted.reason = ""
    await until(lambda: live.index.embedder is wanted)
    assert sorted(wanted.embedded) == sorted([*TITLES, "Charging gun stuck"])
    assert live.matcher.match(Case("horn silent after rain")).embedder == "wanted"
    everything = {card.id for card in [*cards, late]}
    async with asyncio.timeout(30):
        while await kept() != {"wanted": everything}:
            await asyncio.sleep(0.02)
    assert await vectors.complete() == "wanted"


async def test_progress_tells_which_embedder_serves(as_system: None):
    for title in TITLES:
        await approved(title)
    former = WatchedEmbedder(name="former")
    await loaded(former)
    live = LiveIndex(WatchedEmbedder(name="wanted"), former={"former": former}.get)
    await live.read()
    told: list[str] = []
    await live.embedding.finish(lambda done, total: told.append(str(live.embedding.advance)))
    assert told[0] == "re-embedding 0 of 4 cards by wanted; former serves meanwhile"
    assert told[-1].startswith("re-embedding 4 of 4")
    assert live.embedding.advance is None


async def test_a_change_that_was_cut_short_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedding, "BATCH", 1)
    for title in TITLES:
        await approved(title)
    former, wanted = WatchedEmbedder(name="former"), WatchedEmbedder(name="wanted")
    await loaded(former)
    live = LiveIndex(wanted, former={"former": former}.get)
    await live.read()

    def break_down(done: int, total: int) -> None:
        wanted.reason = "killed" if done == 2 else ""

    with pytest.raises(Exception, match="killed"):
        await live.embedding.finish(break_down)
    assert live.index.embedder is former
    restarted = WatchedEmbedder(name="wanted")
    again = await loaded(restarted, former={"former": former}.get)
    assert again.index.embedder is restarted
    assert len(wanted.embedded) == len(restarted.embedded) == 2


async def test_a_command_beside_the_service_changes_no_embedder():
    """It may run under other settings than the service."""
    card = await approved(TITLES[0])
    former, wanted = WatchedEmbedder(name="former"), WatchedEmbedder(name="wanted")
    await loaded(former)
    live = LiveIndex(wanted, former={"former": former}.get)
    await approved(TITLES[1])
    assert await live.load() == 2
    assert live.index.embedder is former
    assert live.index.awaiting("former") == 0
    assert wanted.embedded == []
    assert await vectors.complete() == "former"
    assert card.id in (await kept())["former"]


async def test_an_embedder_that_is_gone_leaves_its_cards_to_the_other_channels():
    await approved(TITLES[0])
    await loaded(WatchedEmbedder(name="gone"))
    wanted = WatchedEmbedder(name="wanted")
    live = LiveIndex(wanted)
    await live.read()
    assert live.index.embedder is wanted
    assert live.index.awaiting("wanted") == 1


async def test_without_an_embedder_the_channel_is_off_and_says_why():
    card = await approved(TITLES[0])
    live = await loaded(None, off="the weights are not installed")
    result = live.matcher.match(Case("regen brake chatter"))
    assert result.channels_off == {"semantic": "the weights are not installed"}
    assert [candidate.card_id for candidate in result.candidates] == [card.id]
    assert await kept() == {}


async def test_two_replicas_share_the_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedding, "FEW", 0)
    monkeypatch.setattr(embedding, "OTHERS_SECONDS", 0.05)
    for title in TITLES:
        await approved(title)
    one, other = WatchedEmbedder(), WatchedEmbedder()
    await asyncio.gather(loaded(one), loaded(other))
    assert sorted(one.embedded + other.embedded) == sorted(TITLES)


async def test_nothing_that_is_asked_of_the_store_scans(database_url: str, database_name: str):
    from app.database import connect, disconnect
    from models import ALL_DOCUMENTS

    with watched() as queries:
        await disconnect()
        store = await connect(database_url, database_name, ALL_DOCUMENTS)
        card = await approved(TITLES[0])
        live = await loaded(WatchedEmbedder(name="one"))
        live = await loaded(WatchedEmbedder(name="other"))
        await lifecycle.deprecate(card, "wrong")
        await live.refresh()
        await live.reconcile()
        await vectors.drop_all()
        # The library and the graph are read whole, on purpose; `distinct` has no filter.
        whole = {"find symptoms {}", "find knowledge_relations {}", "distinct card_vectors {}"}
        assert await queries.scans(store) <= whole
