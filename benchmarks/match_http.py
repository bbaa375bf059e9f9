"""POST /api/efi/match on one service process: rate and latency at eight clients, beside a bare endpoint.

Every complaint is new, so that no cache answers, and every answer is on record before it is given. A third of the
cards has evidence. The clients are keep-alive connections of one lean process (`benchmarks.http_load`); on two
processors it, the service and the store compete. Asked twice over: as fast as the clients can, and at the wanted rate,
where the time counts from when a request was due.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from app import clock
from app.security import acting_as, system
from app.settings import Settings
from app.store import open_store
from benchmarks import corpus, http_load, knowledge
from benchmarks.http_load import Load
from benchmarks.report import Figures, Report, milliseconds
from benchmarks.service import RunningService, running_service, sign_in
from models.failure_card import FailureCard
from models.learning import CardEvidence

PATH = "/api/efi/match"
WARM_UP = 200
WANTED_PER_SECOND, WANTED_P99_MS = 150, 40
EMBEDDING_SECONDS = 1800


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--texts", type=Path, help="JSON lines with a field `text` to take sentences from, may be .gz")
    parser.add_argument("--embedder", default="minilm", choices=("minilm", "hashing", "off"))


def run(options: argparse.Namespace) -> Report:
    bodies = _questions(options.requests + WARM_UP, options.texts)
    with tempfile.TemporaryDirectory() as folder:
        knowledge.prepare(Path(folder), options.cards)
        asyncio.run(_give_evidence(Path(folder)))
        quiet = {"EFI_EMBEDDER": options.embedder, "EFI_PROCESS_EVENTS": "false"}
        with running_service(Path(folder), **quiet) as service:
            headers = sign_in(service.url)
            _await_vectors(service.url)
            one = httpx.post(service.url + PATH, content=bodies[0], headers=headers | JSON).raise_for_status()
            rows = _both(service, bodies, headers, options.clients)
    with running_service(Path(folder), command=("-m", "benchmarks.bare_match", str(len(one.content)))) as bare:
        peer = _both(bare, bodies, {}, options.clients)
    fast, steady = rows.values()
    return Report(
        f"POST {PATH}, {options.cards:,} cards, {options.clients} clients, {one.json()['embedder'] or 'no embedder'}",
        {f"EFI, {name}": figures for name, figures in rows.items()}
        | {f"bare FastAPI, {name}": figures for name, figures in peer.items()},
        [
            f"Wanted: {WANTED_PER_SECOND} per second with p99 below {WANTED_P99_MS} ms.",
            "CPU ms is processor time of the service's own process per request; the store's is not in it.",
        ],
        passed=fast["per second"] >= WANTED_PER_SECOND and steady["p99 ms"] < WANTED_P99_MS,
    )


JSON = {"Content-Type": "application/json"}


def _questions(count: int, texts: Path | None) -> list[bytes]:
    """Complaints of 10 to 30 words, different in every run."""
    chance = random.Random(time.time_ns())
    return [
        json.dumps(
            {
                "symptom_text": f"{case.text} {chance.randrange(1_000_000)}",
                "vehicle_make": case.vehicle.make,
                "vehicle_model": case.vehicle.model,
                "vehicle_year": case.vehicle.year,
            }
        ).encode()
        for case in corpus.cases(count, corpus.sentences(texts))
    ]


async def _give_evidence(data_dir: Path) -> None:
    """Repairs of every third card: how their fix rate is worked out is part of an answer."""
    chance = random.Random(corpus.SEED)
    async with open_store(Settings(_env_file=None, data_dir=data_dir, mongo_url="")):
        with acting_as(system("benchmark")):
            ids = [card["_id"] async for card in FailureCard.get_pymongo_collection().find({}, {"_id": 1})]
            rows = [
                CardEvidence(
                    id=f"{card_id}|*",
                    card_id=card_id,
                    variant="*",
                    successes=chance.uniform(0, 30),
                    failures=chance.uniform(0, 10),
                    outcomes=20,
                    as_of=clock.now(),
                )
                for card_id in ids[::3]
            ]
            for start in range(0, len(rows), 500):
                await CardEvidence.insert_many(rows[start : start + 500])


def _await_vectors(url: str) -> None:
    """Cards are embedded behind the service's back: not what is measured. Raises TimeoutError."""
    deadline = time.monotonic() + EMBEDDING_SECONDS
    while "embedding" in httpx.get(f"{url}/readyz").json()["parts"]["semantic"]["detail"]:
        if time.monotonic() > deadline:
            raise TimeoutError("the cards are not embedded yet")
        time.sleep(1)


def _both(
    service: RunningService, bodies: Sequence[bytes], headers: dict[str, str], clients: int
) -> dict[str, Figures]:
    http_load.post(service.url, PATH, bodies[:WARM_UP], headers, connections=clients)
    asked = bodies[WARM_UP:]
    halves = asked[: len(asked) // 2], asked[len(asked) // 2 :]
    rates = None, WANTED_PER_SECOND
    return {
        "as fast as they can" if rate is None else f"{rate} per second": _figures(service, half, headers, clients, rate)
        for half, rate in zip(halves, rates, strict=True)
    }


def _figures(
    service: RunningService, bodies: Sequence[bytes], headers: dict[str, str], clients: int, rate: float | None
) -> Figures:
    before = service.processor_seconds
    load: Load = http_load.post(service.url, PATH, bodies, headers, connections=clients, per_second=rate)
    spent = service.processor_seconds - before
    return {
        "per second": round(load.per_second, 1),
        **milliseconds(load.seconds),
        "CPU ms": round(spent / len(bodies) * 1000, 2),
    }
