"""What those who run the service are told about it."""

import pytest
from pymongo.errors import AutoReconnect

from app import database
from app.settings import Settings
from tests.support import Api, running


async def test_ready_and_what_is_off(api: Api):
    answer = await (await api.anonymous()).get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    parts = answer.json()["parts"]
    assert {name: part["status"] for name, part in parts.items()} == {
        "store": "ok",
        "index": "ok",
        "semantic": "ok",
        "events": "off",
        "mail": "off",
        "network": "ok",
    }
    assert "EFI_PROCESS_EVENTS" in parts["events"]["detail"]
    assert "EFI_SMTP_HOST" in parts["mail"]["detail"]


async def test_everything_on(settings: Settings):
    everything = settings.model_copy(update={"process_events": True, "smtp_host": "127.0.0.1"})
    async with running(everything) as api:
        parts = (await (await api.anonymous()).get("/readyz")).json()["parts"]

        assert {part["status"] for part in parts.values()} == {"ok"}


async def test_store_away(api: Api, monkeypatch: pytest.MonkeyPatch):
    async def away() -> None:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(database, "ping", away)
    client = await api.anonymous()

    answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert answer.json()["parts"]["store"] == {"status": "failing", "detail": "connection closed"}
    assert (await client.get("/livez")).status_code == 200


async def test_loops_that_are_not_compiled_are_told(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.lifespan.COMPILED", False)

    index = (await (await api.anonymous()).get("/readyz")).json()["parts"]["index"]

    assert index["status"] == "ok"
    assert "the inner loops are not compiled" in index["detail"]


async def test_an_index_or_processor_that_has_ended_is_told(settings: Settings):
    async with running(settings.model_copy(update={"process_events": True})) as api:
        client = await api.anonymous()
        await api.app.state.service.index.stop()
        await api.app.state.service.processor.stop()

        answer = await client.get("/readyz")

        assert answer.status_code == 503
        failing = {name for name, part in answer.json()["parts"].items() if part["status"] == "failing"}
        assert failing == {"index", "semantic", "events"}
