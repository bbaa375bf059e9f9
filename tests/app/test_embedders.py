"""What compares meaning in the running service, as the settings say."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from app.embedders import Embedders
from app.factory import create_app
from app.security import Role, acting_as, system
from app.settings import Settings
from matching import Case
from matching.minilm import NAME
from models.embedding import CardVector
from services.engagement.language_model import language_model
from tests.databases import empty
from tests.language_model_server import LanguageModelServer, fails_with, is_silent_for, serving_a_model
from tests.services.diagnosis.conftest import approved
from tests.support import Api, running, settings_for_tests

COMPLAINT = {"symptom_text": "The scooter loses all propulsion on the road", "limit": 5}


@pytest.fixture
def settings(_admin: MongoClient[dict[str, Any]], database_url: str, worker_id: str, tmp_path: Path) -> Settings:
    database = f"efi_embedders_{worker_id}"
    empty(_admin, database)
    return settings_for_tests(database_url, database, tmp_path)


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with serving_a_model() as server:
        yield server


@pytest.fixture
async def remote(settings: Settings, server: LanguageModelServer) -> AsyncIterator[Api]:
    chosen = server.settings().model_dump(include={name for name in Settings.model_fields if "openai" in name})
    async with running(settings.model_copy(update={**chosen, "embedder": "openai"})) as api:
        yield api


async def add(*titles: str) -> list[str]:
    with acting_as(system("test")):
        return [(await approved(title)).id for title in titles]


async def embedded(api: Api) -> None:
    live = api.app.state.service.index
    async with asyncio.timeout(60):
        await live.caught_up()
        while live.index.awaiting(live.index.embedder.name):
            await asyncio.sleep(0.02)


async def semantic(api: Api) -> dict[str, str]:
    return (await (await api.anonymous()).get("/readyz")).json()["parts"]["semantic"]


async def matched(
    api: Api, client: httpx.AsyncClient | None = None, complaint: dict[str, Any] = COMPLAINT
) -> dict[str, Any]:
    answer = await (client or await api.as_role(Role.technician)).post("/api/efi/match", json=complaint)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_sentence_model_finds_what_shares_no_word(settings: Settings, sentence_models: Path):
    (settings.data_dir / "models").symlink_to(sentence_models)
    async with running(settings.model_copy(update={"embedder": "minilm"})) as api:
        wanted, _ = await add("Motor shuts off while driving", "Seat cover torn")
        await embedded(api)
        assert await semantic(api) == {"status": "ok", "detail": NAME}
        found = await matched(api)
        assert found["channels_off"] == {}
        assert found["matches"][0]["failure_id"] == wanted
        assert found["matches"][0]["channels"]["semantic"] > 0.3
        with acting_as(system("test")):
            assert {vector.embedder for vector in await CardVector.find().to_list()} == {NAME}
    # The next start has the model and the vectors at once.
    again = create_app(settings.model_copy(update={"embedder": "minilm"}))
    async with again.router.lifespan_context(again):
        found = again.state.service.index.matcher.match(Case(COMPLAINT["symptom_text"]))
        assert found.candidates[0].channels["semantic"] > 0.3


async def test_without_its_weights_the_channel_is_off_and_everybody_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("matching.minilm.DISTRIBUTION", "gt-not-installed")
    async with running(settings.model_copy(update={"embedder": "minilm"})) as api:
        (wanted,) = await add("Scooter loses propulsion")
        part = await semantic(api)
        assert part["status"] == "off"
        assert "the weights are not installed" in part["detail"]
        found = await matched(api)
        assert found["channels_off"] == {"semantic": part["detail"]}
        assert [match["failure_id"] for match in found["matches"]] == [wanted]


async def test_the_channel_can_be_switched_off(settings: Settings):
    async with running(settings.model_copy(update={"embedder": "off"})) as api:
        assert await semantic(api) == {"status": "off", "detail": "EFI_EMBEDDER is off"}
        assert (await matched(api))["channels_off"] == {"semantic": "EFI_EMBEDDER is off"}


async def test_a_remote_model_embeds_cards_and_questions(remote: Api, server: LanguageModelServer):
    (wanted,) = await add("Scooter loses all propulsion")
    await embedded(remote)
    assert await semantic(remote) == {"status": "ok", "detail": "words-128"}
    found = await matched(remote)
    assert found["channels_off"] == {}
    assert found["matches"][0]["failure_id"] == wanted
    assert found["matches"][0]["channels"]["semantic"] > 0.3
    assert sorted(set(server.texts())) == ["Scooter loses all propulsion", COMPLAINT["symptom_text"]]


async def test_a_remote_model_that_fails_costs_a_match_one_channel(remote: Api, server: LanguageModelServer):
    (wanted,) = await add("Scooter loses all propulsion")
    await embedded(remote)
    server.trouble = fails_with(500)
    found = await matched(remote)
    assert "answered with HTTP 500" in found["channels_off"]["semantic"]
    assert [match["failure_id"] for match in found["matches"]] == [wanted]


async def test_a_remote_model_that_is_silent_holds_up_nobody_else(remote: Api, server: LanguageModelServer):
    await add("Scooter loses all propulsion")
    await embedded(remote)
    await matched(remote)  # routes are built with the first request
    server.trouble = is_silent_for(1.5)
    client, technician = await remote.anonymous(), await remote.as_role(Role.technician)
    question = COMPLAINT | {"symptom_text": "Another question"}
    slow = asyncio.create_task(matched(remote, technician, question))
    waited = []
    while not slow.done():
        asked = time.perf_counter()
        assert (await client.get("/livez")).status_code == 200
        waited.append(time.perf_counter() - asked)
        await asyncio.sleep(0.01)
    assert "did not answer within 1 s" in (await slow)["channels_off"]["semantic"]
    # Blocked by the silence, the loop would have answered once or twice.
    assert len(waited) > 4
    assert median(waited) < 0.25


async def test_cards_that_a_remote_model_refuses_are_told_and_tried_again(remote: Api, server: LanguageModelServer):
    server.trouble = fails_with(429)
    await add(*(f"Failure number {n}" for n in range(12)))
    async with asyncio.timeout(60):
        while "too many requests" not in (await semantic(remote))["detail"]:
            await asyncio.sleep(0.05)
    assert (await semantic(remote))["status"] == "ok"
    server.trouble = None
    remote.app.state.service.index.embedding.wake()
    await embedded(remote)


async def test_an_embedder_of_other_settings_is_found_by_its_name(
    settings: Settings, server: LanguageModelServer, sentence_models: Path
):
    (settings.data_dir / "models").symlink_to(sentence_models)
    model = language_model(server.settings())
    embedders = Embedders(settings, model)
    for name in ("words-128", NAME, "hashing-384-v1"):
        assert embedders.named(name).name == name
    assert embedders.named("words-256") is None
    await model.close()
