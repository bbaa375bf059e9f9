"""Two services on one machine sync both ways while people at both write, edit, give up and use the same cards; now and
then one of them is killed. When the people stop and the open questions are settled, both must know the same."""

import random
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks import knowledge
from benchmarks.report import Figures, Report
from benchmarks.service import RunningService, settle, sign_in

PULL_SECONDS = "5"
KILL_EVERY = 90.0
OWN = ("confidence_history", "version_history", "created_by", "updated_by", "approved_by", "created_at", "updated_at")
"""Of a card, what is each service's own affair."""
OWN_STATE = (
    "open_flags",
    "edition",
    "synced_to_network",
    "last_sync_at",
    "approved_at",
    "deprecated_at",
    "source_ticket_id",
)
LEFT_OUT = {*OWN, *OWN_STATE, "failure_id", "source_garage_id", "successor_id"}
ROUNDS = 200


class Client:
    """The admin of one service."""

    def __init__(self, service: RunningService) -> None:
        self.url = service.url
        self.http = httpx.Client(base_url=service.url, headers=sign_in(service.url), timeout=120)
        self.identity = self.get("/api/network/identity")

    @property
    def node(self) -> str:
        return str(self.identity["node_id"])

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(path, params=query).raise_for_status().json()

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        return self.http.post(path, json=body or {}, headers=headers).raise_for_status().json()

    def publish(self) -> None:
        """Have the service look at its cards: asking for what comes after its last change does it."""
        self.get("/api/network/changes", since=2**40)

    def pull(self, other: "Client") -> Any:
        return self.http.post(f"/api/network/peers/{other.node}/pull", timeout=600).raise_for_status().json()

    def indexed(self) -> int:
        return int(self.get("/readyz")["parts"]["index"]["detail"].split()[0])

    def cards(self) -> list[dict[str, Any]]:
        """All that have ever been approved, whole."""
        found = []
        for status in ("approved", "deprecated"):
            page: dict[str, Any] = {"next": None}
            while True:
                after = {"after": page["next"]} if page["next"] else {}
                page = self.get("/api/efi/failure-cards", status=status, limit=200, **after)
                found += [self.get(f"/api/efi/failure-cards/{card['failure_id']}") for card in page["items"]]
                if page["next"] is None:
                    break
        return found

    def conflicts(self) -> list[dict[str, Any]]:
        return list(self.get("/api/efi/review-queue", limit=200)["items"])


def introduce(first: Client, second: Client) -> None:
    """Each pins the other and trusts it."""
    for one, other in ((first, second), (second, first)):
        body = {
            "node_id": other.node,
            "name": other.url,
            "url": other.url,
            "public_key": other.identity["public_key"],
            "trust": "approve_automatically",
        }
        one.post("/api/network/peers", body)


def run(folder: Path, *, minutes: float, seed: int | None) -> Report:
    seed = seed if seed is not None else random.SystemRandom().randrange(1_000_000)
    chance = random.Random(seed)
    with ExitStack() as stack:
        pair = [Place(folder / name, _free_port()) for name in ("one", "other")]
        for place in pair:
            place.start()
            stack.callback(place.stop)
        introduce(pair[0].client, pair[1].client)
        load = Load(pair, chance)
        deadline, next_kill = time.monotonic() + minutes * 60, time.monotonic() + KILL_EVERY
        while time.monotonic() < deadline:
            load.act()
            if time.monotonic() > next_kill:
                chance.choice(pair).crash()
                load.kills += 1
                next_kill = time.monotonic() + KILL_EVERY
        started = time.monotonic()
        load.come_to_rest()
        rest = time.monotonic() - started
        apart, compared = _differences(pair)
    figures: Figures = {
        "minutes": round(minutes, 1),
        **load.done,
        "kills": load.kills,
        "decisions": load.decisions,
        "cards compared": compared,
        "cards that differ": len(apart),
        "seconds to rest": round(rest, 1),
    }
    notes = [f"Seed {seed}. Both pull every {PULL_SECONDS} s; one is killed every {KILL_EVERY:g} s.", *apart[:20]]
    return Report(
        "Two services under random edits", {"EFI, embedded store": figures}, notes, not apart and compared > 0
    )


@dataclass
class Place:
    """One service that comes back at the same address."""

    data_dir: Path
    port: int
    service: RunningService = field(init=False)
    client: Client = field(init=False)

    def start(self) -> None:
        self.service = RunningService(
            self.data_dir, EFI_PORT=str(self.port), EFI_NETWORK_PULL_SECONDS=PULL_SECONDS, EFI_SECRET_KEY="soak" * 10
        )
        self.client = Client(self.service)

    def stop(self) -> None:
        self.service.stop()

    def crash(self) -> None:
        self.service.kill()
        self.start()


@dataclass
class Load:
    """What people do at random, and how often."""

    places: list[Place]
    chance: random.Random
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("cards", "edits", "given up", "repairs"), 0))
    kills: int = 0
    decisions: int = 0

    def act(self) -> None:
        client = self.chance.choice(self.places).client
        doing = self.chance.choice([self._write, self._edit, self._edit, self._use, self._use, self._decide, self._end])
        try:
            doing(client)
        except httpx.HTTPStatusError as refused:
            # Somebody, or a pull, was quicker: people read again, and so does the next step.
            if refused.response.status_code not in (409, 412, 503):
                raise
        time.sleep(self.chance.uniform(0, 0.2))

    def _approved(self, client: Client) -> list[dict[str, Any]]:
        return list(client.get("/api/efi/failure-cards", status="approved", limit=50)["items"])

    def _write(self, client: Client) -> None:
        if len(self._approved(client)) >= 40:
            return
        _, content = self.chance.choice(_CARDS)
        card = client.post("/api/efi/failure-cards", content.model_dump(mode="json", exclude_defaults=True))
        for step in ("submit", "approve"):
            client.post(f"/api/efi/failure-cards/{card['failure_id']}/{step}")
        self.done["cards"] += 1

    def _edit(self, client: Client) -> None:
        if not (known := self._approved(client)):
            return
        answer = client.http.get(f"/api/efi/failure-cards/{self.chance.choice(known)['failure_id']}")
        card = answer.raise_for_status().json()
        content = {name: card[name] for name in _CONTENT if name in card}
        field_ = self.chance.choice(["root_cause", "description", "resolution_summary"])
        content[field_] = f"{self.chance.choice(_PHRASES)[:200]} ({self.chance.randrange(1000)})"
        path = f"/api/efi/failure-cards/{card['failure_id']}"
        client.http.put(path, json=content, headers={"If-Match": answer.headers["ETag"]}).raise_for_status()
        self.done["edits"] += 1

    def _end(self, client: Client) -> None:
        known = self._approved(client)
        if len(known) > 20 and self.chance.random() < 0.3:
            card = self.chance.choice(known)["failure_id"]
            client.post(f"/api/efi/failure-cards/{card}/deprecate", {"reason": "outdated"})
            self.done["given up"] += 1

    def _use(self, client: Client) -> None:
        """A ticket, an action by a card, the resolution; now and then it comes back."""
        if not (known := self._approved(client)):
            return
        used = self.chance.choice(known)["failure_id"]
        ticket = client.post("/api/tickets", self.chance.choice(_COMPLAINTS))["ticket_id"]
        action = {
            "ticket_id": ticket,
            "resolution_outcome": self.chance.choice(["success", "success", "failed"]),
            "failure_card_used": used,
            "failure_card_accuracy_rating": self.chance.randint(1, 5),
        }
        client.post("/api/efi/technician-actions", action)
        client.post(f"/api/tickets/{ticket}/resolve", {"resolution": "done"})
        if self.chance.random() < 0.2:
            client.post(f"/api/tickets/{ticket}/reopen", {"reason": "it is back"})
        self.done["repairs"] += 1

    def _decide(self, client: Client) -> None:
        for review in client.conflicts()[:1]:
            decision = self.chance.choice(["approved", "rejected"])
            client.post(
                f"/api/efi/review-queue/{review['review_id']}/decide", {"decision": decision, "reason": "decided"}
            )
            self.decisions += 1

    def come_to_rest(self) -> None:
        """Work through the events, exchange, settle one open question, and again, until nothing moves."""
        one, other = (place.client for place in self.places)
        for _ in range(ROUNDS):
            for client in (one, other):
                settle(client.http)
            try:
                moved = one.pull(other)["received"] + other.pull(one)["received"]
            except httpx.HTTPStatusError as refused:
                if refused.response.status_code != 409:  # the timer was at it
                    raise
                time.sleep(0.5)
                continue
            if moved:
                continue
            asked = [client for client in (one, other) if client.conflicts()]
            if not asked and one.pull(other)["received"] + other.pull(one)["received"] == 0:
                return
            if asked:
                self._decide(asked[0])
        raise TimeoutError("the services do not come to rest")


def _differences(pair: list[Place]) -> tuple[list[str], int]:
    """What differs, card by card, and how many cards were compared."""
    sides = [{card["failure_id"]: card for card in place.client.cards()} for place in pair]
    found = [f"{card_id} is at one service only" for card_id in sides[0].keys() ^ sides[1].keys()]
    for card_id in sides[0].keys() & sides[1].keys():
        mine, other = (side[card_id] for side in sides)
        found += [
            f"{card_id}.{name}: {mine[name]!r} and {other[name]!r}"
            for name in mine
            if name not in LEFT_OUT and mine[name] != other[name]
        ]
    return found, len(sides[0].keys() & sides[1].keys())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_CARDS = knowledge.cards(200)
_CONTENT = list(type(_CARDS[0][1]).model_fields)
_COMPLAINTS = knowledge.complaints(200)
_PHRASES = knowledge.starter_sentences()
