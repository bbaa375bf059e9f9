"""The service is killed (SIGKILL) at random instants during a mixed load, again and again, and started again.

Afterwards the store is opened and every book is compared with every other: what was acknowledged against what is there,
counts on cards against the ledger of outcomes, the ledger against the events, the events against the receipts. The
service must have lost nothing that it acknowledged, done nothing twice, and given up on nothing.
"""

import argparse
import asyncio
import random
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks import knowledge
from benchmarks.books import compare
from benchmarks.report import Report
from benchmarks.service import RunningService, running_service, settle, sign_in

CARDS = 20
CLIENTS = 4


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--longest", type=float, default=2.5, help="seconds of load before a kill, at most")
    parser.add_argument("--seed", type=int, default=None, help="of the random instants; a new one each time by default")


def run(options: argparse.Namespace) -> Report:
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        knowledge.prepare(data_dir, CARDS)
        load = suffer(data_dir, kills=options.kills, longest=options.longest, chance=random.Random(seed))
        books = asyncio.run(compare(data_dir, load.acknowledged))
    figures: dict[str, float | int | None] = {
        "kills": options.kills,
        "acknowledged": len(load.acknowledged),
        "unanswered": load.unanswered,
        "refused": load.refused,
        "events": books.events,
        "lost": len(books.lost),
        "twice": len(books.twice),
        "missing": len(books.missing),
        "dead letters": books.dead_letters,
        "start s, max": round(max(load.starts), 2),
        "finished after s": round(load.settled, 2),
    }
    notes = [
        f"Seed {seed}. {CLIENTS} clients: tickets, actions, resolutions, revisits, discoveries.",
        "lost: acknowledged writes that are gone. twice, missing: effects of events done too often, or not at all.",
        *books.findings[:20],
    ]
    return Report("kill -9 at random instants", {"EFI, embedded store": figures}, notes, books.clean)


@dataclass
class Load:
    """What clients do, and what the service acknowledged of it: (kind, id) of each write, in order.

    `starts` are the seconds of each start, `settled` those until the last one had worked through every event.
    """

    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    unanswered: int = 0
    refused: int = 0
    starts: list[float] = field(default_factory=list)
    settled: float = 0.0

    def work(self, url: str, headers: dict[str, str], cards: list[str], seed: int) -> None:
        """One client, until the service is gone."""
        chance = random.Random(seed)
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            while True:
                try:
                    self._one_ticket(client, cards, chance)
                except httpx.TransportError:
                    self.unanswered += 1
                    return
                except httpx.HTTPStatusError:
                    self.refused += 1

    def _one_ticket(self, client: httpx.Client, cards: list[str], chance: random.Random) -> None:
        body = chance.choice(_COMPLAINTS)
        ticket_id = self._write(client, "/api/tickets", body, "ticket")
        for passage in range(1, 3):
            self._action(client, ticket_id, cards, chance)
            satisfaction = chance.choice([None, 1, 3, 5])
            resolution = {"resolution": "done", "customer_satisfaction": satisfaction}
            self._write(client, f"/api/tickets/{ticket_id}/resolve", resolution, f"resolution {passage}")
            if passage == 2 or chance.random() < 0.7:
                return
            self._write(client, f"/api/tickets/{ticket_id}/reopen", {"reason": "it is back"}, "revisit")

    def _action(self, client: httpx.Client, ticket_id: str, cards: list[str], chance: random.Random) -> None:
        used, rejected = chance.sample(cards, 2)
        action: dict[str, Any] = {
            "ticket_id": ticket_id,
            "resolution_outcome": chance.choice(["success", "success", "failed"]),
            "failure_card_used": used,
            "failure_card_accuracy_rating": chance.randint(1, 5),
            "rejected_hypotheses": [{"hypothesis": "no", "card_id": rejected, "reason_rejected": "looks fine"}],
        }
        if chance.random() < 0.2:
            action |= {"new_failure_discovered": True, "new_failure_description": "A failure that nobody has met"}
        self._write(client, "/api/efi/technician-actions", action, "action")

    def _write(self, client: httpx.Client, path: str, body: dict[str, Any], kind: str) -> str:
        answer = client.post(path, json=body).raise_for_status().json()
        identifier = answer["action_id"] if kind == "action" else answer["ticket_id"]
        self.acknowledged.append((kind, identifier))
        return identifier


_COMPLAINTS = knowledge.complaints(200)


def suffer(
    data_dir: Path, *, kills: int, longest: float, chance: random.Random, least: int = 0, **environment: str
) -> Load:
    """Start, load, kill, as often as asked; then let the service finish.

    A kill comes up to `longest` seconds after `least` writes have been acknowledged. `environment` is for the service.
    """
    load = Load()
    headers: dict[str, str] = {}
    for _ in range(kills):
        started = time.monotonic()
        service = RunningService(data_dir, **environment)
        load.starts.append(time.monotonic() - started)
        headers = headers or sign_in(service.url)
        cards = _cards(service.url, headers)
        clients = [
            threading.Thread(target=load.work, args=(service.url, headers, cards, chance.randrange(1 << 30)))
            for _ in range(CLIENTS)
        ]
        before = len(load.acknowledged)
        for client in clients:
            client.start()
        while len(load.acknowledged) < before + least and any(client.is_alive() for client in clients):
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, longest))
        service.kill()
        for client in clients:
            client.join()
    with running_service(data_dir, **environment) as service, httpx.Client(base_url=service.url, timeout=30) as client:
        started = time.monotonic()
        client.headers.update(headers or sign_in(service.url))
        settle(client)
        load.settled = time.monotonic() - started
    return load


def _cards(url: str, headers: dict[str, str]) -> list[str]:
    query = {"status": "approved", "limit": CARDS}
    listed = httpx.get(f"{url}/api/efi/failure-cards", params=query, headers=headers, timeout=30).raise_for_status()
    return [card["failure_id"] for card in listed.json()["items"]]
