"""Every refusal is a problem document (RFC 9457) that names field and rule, and nothing is written."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pymongo.errors import AutoReconnect
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app import clock
from app.security import Role, acting_as, system
from models.bookkeeping import IdempotencyKey
from services.accounts import directory
from tests.support import Api


@pytest.fixture
async def admin(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.admin)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, checked for what all of them hold."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:efi:problem:{code}")
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return body


JSON = {"Content-Type": "application/json"}
VEHICLE = {"vehicle_type": "two_wheeler", "make": "Ather", "model": "450X"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"name": }',
        b'{"name": NaN}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "\xff"}',
        b'{"x": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        "ü".encode("utf-16"),
    ],
    ids=["open", "gap", "nan", "twice", "not utf-8", "endless number", "nested", "utf-16"],
)
async def test_malformed_json(admin: httpx.AsyncClient, body: bytes):
    problem(await admin.post("/api/organisations", content=body, headers=JSON), 400, "malformed")

    assert len((await admin.get("/api/organisations")).json()["items"]) == 1


async def test_other_media_type(admin: httpx.AsyncClient):
    answer = await admin.post("/api/organisations", content=b"name=x", headers={"Content-Type": "text/plain"})

    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"wheels": 3}, "wheels", "Extra inputs are not permitted"),
        ({"make": ""}, "make", "at least 1 character"),
        ({"make": "x" * 201}, "make", "at most 200 characters"),
        ({"make": 7}, "make", "valid string"),
        ({"make": "a\x00b"}, "make", "control character"),
        ({"vehicle_type": "boat"}, "vehicle_type", "'two_wheeler', 'three_wheeler' or 'four_wheeler'"),
        ({"year": 20260}, "year", "less than or equal to 2100"),
        ({"mileage_km": -1}, "mileage_km", "greater than or equal to 0"),
        ({"vin": "IOQ"}, "vin", "pattern"),
        ({"organisation_id": "no id"}, "organisation_id", "pattern"),
        ({"organisation_id": "org_unknown"}, "organisation_id", "no such organisation"),
    ],
)
async def test_field_and_rule_are_named(admin: httpx.AsyncClient, change: dict[str, Any], field: str, rule: str):
    body = problem(await admin.post("/api/vehicles", json=VEHICLE | change), 422, "invalid")

    (error,) = body["errors"]
    assert error["field"] == field
    assert rule in error["rule"]
    assert (await admin.get("/api/vehicles")).json()["items"] == []


@pytest.mark.parametrize("missing", ["make", "model", "vehicle_type"])
async def test_missing_field(admin: httpx.AsyncClient, missing: str):
    body = problem(
        await admin.post("/api/vehicles", json={k: v for k, v in VEHICLE.items() if k != missing}), 422, "invalid"
    )

    assert body["errors"] == [{"field": missing, "rule": "Field required"}]


async def test_no_body(admin: httpx.AsyncClient):
    body = problem(await admin.post("/api/vehicles"), 422, "invalid")

    assert body["errors"] == [{"field": "body", "rule": "Field required"}]


async def test_a_refused_password_is_not_shown(admin: httpx.AsyncClient):
    user = {"email": "a@efi.example.com", "name": "A", "roles": ["expert"], "password": "short"}

    answer = await admin.post("/api/users", json=user)

    assert problem(answer, 422, "invalid")["errors"][0]["field"] == "password"
    assert '"short"' not in answer.text


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/vehicles?limit=0", "limit"),
        ("/api/vehicles?limit=201", "limit"),
        ("/api/vehicles?limit=ten", "limit"),
        ("/api/vehicles?after=***", "after"),
        ("/api/vehicles?colour=red", "colour"),
    ],
)
async def test_query_parameters(admin: httpx.AsyncClient, path: str, field: str):
    assert problem(await admin.get(path), 422, "invalid")["errors"][0]["field"] == field


async def test_unknown_path_method_and_id(api: Api, admin: httpx.AsyncClient):
    problem(await admin.get("/api/nothing"), 404, "not_found")
    problem(await admin.get("/api/vehicles/"), 404, "not_found")
    problem(await admin.get("/api/vehicles/veh_unknown"), 404, "not_found")
    body = problem(await admin.delete("/api/vehicles"), 405, "method_not_allowed")
    assert body["allowed"] == ["GET", "POST"]
    assert (await admin.delete("/api/vehicles")).headers["Allow"] == "GET, POST"


async def test_duplicate_key(admin: httpx.AsyncClient):
    body = VEHICLE | {"registration": "MH12AB1234"}
    assert (await admin.post("/api/vehicles", json=body)).status_code == 201

    refused = problem(await admin.post("/api/vehicles", json=body), 409, "duplicate")

    assert refused["errors"][0]["field"] == "registration"


@pytest.mark.parametrize("announced", [True, False], ids=["with length", "chunked"])
async def test_huge_body_is_refused_before_it_is_read(api: Api, announced: bool):
    client = await api.as_role(Role.admin)

    async def chunks():
        for _ in range(20):
            yield b" " * 1024 * 1024

    headers = JSON | ({"Content-Length": str(20 * 1024 * 1024)} if announced else {})
    answer = await client.post("/api/vehicles", content=chunks(), headers=headers)

    assert problem(answer, 413, "too_large")["max_bytes"] == api.settings.max_body_bytes
    assert answer.headers["Connection"] == "close"


async def test_stale_and_missing_edition(admin: httpx.AsyncClient):
    created = await admin.post("/api/vehicles", json=VEHICLE)
    path = f"/api/vehicles/{created.json()['vehicle_id']}"
    changed = VEHICLE | {"firmware": "2.1"}

    problem(await admin.put(path, json=changed), 428, "precondition_required")
    problem(await admin.put(path, json=changed, headers={"If-Match": "*"}), 400, "malformed")
    done = await admin.put(path, json=changed, headers={"If-Match": created.headers["ETag"]})
    assert (done.status_code, done.headers["ETag"]) == (200, '"2"')
    problem(await admin.put(path, json=VEHICLE, headers={"If-Match": created.headers["ETag"]}), 412, "stale")
    assert (await admin.get(path)).json()["firmware"] == "2.1"


async def test_unexpected_errors_tell_nothing(api: Api, monkeypatch: pytest.MonkeyPatch):
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(directory, "list_entries", broken)
    client = await api.as_role(Role.admin)

    with capture_logs(processors=[merge_contextvars]) as logs:
        answer = await client.get("/api/sites", headers={"X-Request-ID": "from-the-client"})

    (logged,) = [line for line in logs if line["log_level"] == "error"]
    assert (logged["request_id"], logged["exc_info"]) == ("from-the-client", True)
    assert problem(answer, 500, "internal_error")["request_id"] == "from-the-client"
    assert "42" not in answer.text


async def test_store_away_is_503(api: Api, monkeypatch: pytest.MonkeyPatch):
    async def away(*_: Any, **__: Any) -> None:
        raise AutoReconnect("connection refused by 10.0.0.1")

    monkeypatch.setattr(directory, "list_entries", away)
    client = await api.as_role(Role.admin)

    answer = await client.get("/api/sites")

    problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert "10.0.0.1" not in answer.text


async def test_security_headers(api: Api):
    answer = await (await api.anonymous()).get("/livez")

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("given", ["", "with space", "x" * 101, "line\tbreak"])
async def test_a_strange_request_id_is_replaced(api: Api, given: str):
    answer = await (await api.anonymous()).get("/livez", headers={"X-Request-ID": given})

    assert answer.headers["X-Request-ID"].startswith("req_")


class TestIdempotencyKey:
    async def test_repeating_takes_effect_once(self, admin: httpx.AsyncClient):
        first, second = [
            await admin.post("/api/vehicles", json=VEHICLE, headers={"Idempotency-Key": "k1"}) for _ in range(2)
        ]

        assert (first.status_code, second.status_code) == (201, 201)
        assert first.content == second.content
        assert second.headers["ETag"] == first.headers["ETag"]
        assert second.headers["Idempotent-Replayed"] == "true"
        assert len((await admin.get("/api/vehicles")).json()["items"]) == 1

    async def test_many_at_once_take_effect_once(self, admin: httpx.AsyncClient):
        body = VEHICLE | {"registration": "KA01EV0001"}
        calls = [admin.post("/api/vehicles", json=body, headers={"Idempotency-Key": "k1"}) for _ in range(8)]

        answers = await asyncio.gather(*calls)

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["vehicle_id"] for answer in answers}) == 1

    async def test_another_body_is_refused(self, admin: httpx.AsyncClient):
        headers = {"Idempotency-Key": "k1"}
        await admin.post("/api/vehicles", json=VEHICLE, headers=headers)

        answer = await admin.post("/api/vehicles", json=VEHICLE | {"model": "Rizta"}, headers=headers)

        problem(answer, 409, "idempotency_key_reused")

    async def test_an_answer_is_forgotten_in_time(self, admin: httpx.AsyncClient):
        headers = {"Idempotency-Key": "k1"}
        first = await admin.post("/api/vehicles", json=VEHICLE, headers=headers)
        past = {"$set": {"expires_at": clock.now() - timedelta(seconds=1)}}
        with acting_as(system("test")):
            await IdempotencyKey.get_pymongo_collection().update_many({}, past)

        other, again = [
            await admin.post("/api/vehicles", json=VEHICLE | {"model": "Rizta"}, headers=headers) for _ in range(2)
        ]

        assert first.json()["vehicle_id"] != other.json()["vehicle_id"] == again.json()["vehicle_id"]

    async def test_callers_do_not_share_keys(self, api: Api, admin: httpx.AsyncClient):
        headers = {"Idempotency-Key": "k1"}
        mine = await admin.post("/api/vehicles", json=VEHICLE, headers=headers)
        theirs = await (await api.as_role(Role.expert)).post("/api/vehicles", json=VEHICLE, headers=headers)

        assert mine.json()["vehicle_id"] != theirs.json()["vehicle_id"]

    async def test_refused_request_leaves_the_key_free(self, admin: httpx.AsyncClient):
        headers = {"Idempotency-Key": "k1"}
        problem(await admin.post("/api/vehicles", json=VEHICLE | {"year": 1}, headers=headers), 422, "invalid")

        assert (await admin.post("/api/vehicles", json=VEHICLE, headers=headers)).status_code == 201

    @pytest.mark.parametrize("key", ["", "x" * 201, "with space"])
    async def test_form_of_the_key(self, admin: httpx.AsyncClient, key: str):
        answer = await admin.post("/api/vehicles", json=VEHICLE, headers={"Idempotency-Key": key})

        assert problem(answer, 422, "invalid")["errors"][0]["field"] == "Idempotency-Key"

    async def test_the_body_is_not_kept(self, admin: httpx.AsyncClient):
        user = {"email": "a@efi.example.com", "name": "A", "roles": ["expert"], "password": "a secret passphrase"}
        await admin.post("/api/users", json=user, headers={"Idempotency-Key": "k1"})

        with acting_as(system("test")):
            (kept,) = await IdempotencyKey.find_all().to_list()

        assert "passphrase" not in kept.model_dump_json()
