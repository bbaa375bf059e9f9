"""The exchange between two services over HTTP, and what an admin sees of it."""

import base64
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app import clock
from app.security import Role
from tests.processes import Running, serving
from tests.support import Api

PASSWORD = "the admin's passphrase"
CARD = {
    "title": "BMS cell balancing circuit failure",
    "subsystem_category": "bms",
    "failure_mode": "degradation",
    "root_cause": "The balancing resistor of a cell group is open",
}


class Neighbour:
    """A service elsewhere, played by its key."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.node_id = "node_07kq2m9x4rd1hz6t8b3n"
        self.public_key = base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def body(self, **changes: Any) -> dict[str, Any]:
        return {"node_id": self.node_id, "name": "Mumbai", "public_key": self.public_key} | changes

    def token(self, audience: str, **claims: Any) -> dict[str, str]:
        now = clock.now()
        said = {"iss": self.node_id, "aud": audience, "iat": now, "exp": now + timedelta(minutes=1)} | claims
        return {"Authorization": f"Bearer {jwt.encode(said, self.key, algorithm='EdDSA')}"}


@pytest.fixture
def neighbour() -> Neighbour:
    return Neighbour()


@pytest.fixture
async def admin(api: Api) -> httpx.AsyncClient:
    return await api.as_role(Role.admin)


async def own_id(admin: httpx.AsyncClient) -> str:
    return (await admin.get("/api/network/identity")).json()["node_id"]


async def test_peers_are_pinned_changed_and_removed(admin: httpx.AsyncClient, neighbour: Neighbour):
    added = await admin.post("/api/network/peers", json=neighbour.body())
    assert (added.status_code, added.json()["trust"], added.json()["cursor"]) == (201, "review_first", 0)
    assert (await admin.post("/api/network/peers", json=neighbour.body())).json()["code"] == "duplicate"
    path = f"/api/network/peers/{neighbour.node_id}"
    assert [peer["node_id"] for peer in (await admin.get("/api/network/peers")).json()["items"]] == [neighbour.node_id]

    edit = {name: value for name, value in neighbour.body(enabled=False).items() if name != "node_id"}
    assert (await admin.put(path, json=edit)).status_code == 428
    changed = await admin.put(path, json=edit, headers={"If-Match": added.headers["ETag"]})
    assert changed.json()["enabled"] is False
    assert (await admin.put(path, json=edit, headers={"If-Match": added.headers["ETag"]})).status_code == 412
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [{"public_key": "A" * 43 + "="}, {"public_key": "short"}, {"url": "ftp://x"}, {"url": "http://a@b"}, {"name": ""}],
)
async def test_what_is_no_peer(admin: httpx.AsyncClient, neighbour: Neighbour, change: dict[str, str]):
    if change == {"public_key": "A" * 43 + "="}:
        change = {"node_id": await own_id(admin)}
    assert (await admin.post("/api/network/peers", json=neighbour.body(**change))).status_code == 422


async def test_a_peer_opens_the_exchange_and_nothing_else(api: Api, admin: httpx.AsyncClient, neighbour: Neighbour):
    await admin.post("/api/network/peers", json=neighbour.body())
    peer = await api.anonymous(**neighbour.token(await own_id(admin)))

    bundle = await peer.get("/api/network/changes")
    assert (bundle.status_code, bundle.json()["payload"]["cards"]) == (200, [])
    assert (await peer.get("/api/network/identity")).status_code == 200
    for path in ("/api/network/peers", "/api/network/status", "/api/tickets", "/api/efi/failure-cards"):
        assert (await peer.get(path)).status_code == 401


@pytest.mark.parametrize("why", ["stranger", "another service", "expired", "switched off"])
async def test_tokens_that_open_nothing(api: Api, admin: httpx.AsyncClient, neighbour: Neighbour, why: str):
    if why != "stranger":
        await admin.post("/api/network/peers", json=neighbour.body(enabled=why != "switched off"))
    late = {"exp": clock.now() - timedelta(hours=1)} if why == "expired" else {}
    audience = "node_somebody_else" if why == "another service" else await own_id(admin)

    answer = await (await api.anonymous(**neighbour.token(audience, **late))).get("/api/network/changes")

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_bundles_that_are_refused_say_why(admin: httpx.AsyncClient):
    own = (await admin.get("/api/network/changes")).json()
    unknown = await admin.post("/api/network/bundles", json=own)
    assert (unknown.status_code, unknown.json()["code"]) == (403, "bundle_unknown_signer")
    other_format = own | {"payload": own["payload"] | {"format": 99}}
    assert (await admin.post("/api/network/bundles", json=other_format)).json()["code"] == "bundle_wrong_format"
    assert (await admin.post("/api/network/bundles", json={})).json()["code"] == "malformed"
    large = await admin.post("/api/network/bundles", json={"payload": "x" * 1_600_000})
    assert (large.status_code, large.json()["code"]) == (413, "too_large")


async def test_a_peer_that_cannot_be_reached(admin: httpx.AsyncClient, neighbour: Neighbour):
    path = f"/api/network/peers/{neighbour.node_id}"
    await admin.post("/api/network/peers", json=neighbour.body())
    assert (await admin.post(f"{path}/pull")).status_code == 409  # no URL
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    await admin.delete(path)
    await admin.post("/api/network/peers", json=neighbour.body(url=url))

    failed = await admin.post(f"{path}/pull")

    assert (failed.status_code, failed.json()["code"]) == (503, "peer_failed")
    assert (await admin.get(path)).json()["last_error"].startswith("peer_failed: Mumbai")


async def test_status_is_for_curators(api: Api, admin: httpx.AsyncClient, neighbour: Neighbour):
    await admin.post("/api/network/peers", json=neighbour.body())
    expert = await api.as_role(Role.expert)
    shown = (await expert.get("/api/network/status")).json()
    assert [peer["name"] for peer in shown["peers"]] == ["Mumbai"]
    assert (shown["head"], shown["held_back"], shown["waiting"], shown["receipts"]) == (0, [], [], [])


@contextmanager
def _two(folder: Path) -> Iterator[list[Running]]:
    with ExitStack() as stack:
        places = [folder / name / "data" for name in ("one", "other")]
        for place in places:
            place.mkdir(parents=True)
        yield [
            stack.enter_context(serving(place, EFI_ADMIN_PASSWORD=PASSWORD, EFI_NETWORK_PULL_SECONDS="0"))
            for place in places
        ]


def test_two_services_over_the_wire(tmp_path: Path):
    """A card goes there, an edit at both sides comes back as a conflict with its three-way diff, and is settled."""
    with _two(tmp_path) as services, ExitStack() as stack:
        here, there = (stack.enter_context(service.sign_in(PASSWORD)) for service in services)
        nodes = [client.get("/api/network/identity").json() for client in (here, there)]
        for client, url, node in ((here, services[1].url, nodes[1]), (there, services[0].url, nodes[0])):
            body = {name: node[name] for name in ("node_id", "public_key")} | {"name": url, "url": url}
            body["trust"] = "approve_automatically"
            assert client.post("/api/network/peers", json=body).status_code == 201
        card = here.post("/api/efi/failure-cards", json=CARD).json()["failure_id"]
        path = f"/api/efi/failure-cards/{card}"
        for step in ("submit", "approve"):
            assert here.post(f"{path}/{step}").status_code == 200

        pulled = there.post(f"/api/network/peers/{nodes[0]['node_id']}/pull").json()
        assert (pulled["added"], pulled["refused"]) == (1, 0)
        assert there.get(path).json()["status"] == "approved"
        assert here.get(path).json()["synced_to_network"] is True
        found = _when(lambda: there.post("/api/efi/match", json={"symptom_text": "cell balancing"}).json()["matches"])
        assert found[0]["failure_id"] == card

        for client, cause in ((here, "resistor"), (there, "connector")):
            etag = client.get(path).headers["ETag"]
            assert client.put(path, json=CARD | {"root_cause": cause}, headers={"If-Match": etag}).status_code == 200
        assert there.post(f"/api/network/peers/{nodes[0]['node_id']}/pull").json()["conflicts"] == 1
        (review,) = there.get("/api/efi/review-queue").json()["items"]
        shown = there.get(f"/api/efi/review-queue/{review['review_id']}").json()["incoming"]
        line = next(line for line in shown["differences"] if line["field"] == "root_cause")
        assert (line["base"], line["ours"], line["theirs"]) == (CARD["root_cause"], "connector", "resistor")
        decision = {"decision": "approved", "content": CARD | {"root_cause": "connector and resistor"}}
        decided = there.post(f"/api/efi/review-queue/{review['review_id']}/decide", json=decision)
        assert decided.status_code == 200, decided.text
        here.post(f"/api/network/peers/{nodes[1]['node_id']}/pull")
        assert here.get(path).json()["root_cause"] == "connector and resistor"
        kinds = {event["event_type"] for event in here.get("/api/efi/events", params={"limit": 200}).json()["items"]}
        assert {"sync.requested", "sync.completed"} <= kinds


def _when(ask: Any) -> Any:
    deadline = time.monotonic() + 60
    while not (found := ask()) and time.monotonic() < deadline:
        threading.Event().wait(0.1)
    return found
