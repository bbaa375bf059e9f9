"""From POST /api/tickets until the suggestions are stored, on the real service over HTTP.

One client, one request after another: latency is asked for here, not throughput. "Suggestions stored" is when a
reader sees them, polled every few milliseconds. The peer is FastAPI with one durable insert into the same kind of
store, and nothing else.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks import knowledge
from benchmarks.report import Report, milliseconds
from benchmarks.service import running_service, settle, sign_in

WARM_UP = 20
PATIENCE_SECONDS = 30
POLL_SECONDS = 0.003
"""Without a pause the polls themselves would be what the service is busy with."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, default=1000)
    parser.add_argument("--tickets", type=int, default=300)


def run(options: argparse.Namespace) -> Report:
    complaints = knowledge.complaints(options.tickets + WARM_UP)
    with tempfile.TemporaryDirectory() as folder:
        knowledge.prepare(Path(folder), options.cards)
        with running_service(Path(folder)) as service, httpx.Client(base_url=service.url, timeout=30) as client:
            client.headers.update(sign_in(service.url))
            settle(client)  # loading the cards has left events, which are not what is measured
            answered, stored, matched = _measure(client, complaints)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder), command=("-m", "benchmarks.bare_service", folder)) as bare,
        httpx.Client(base_url=bare.url, timeout=30) as client,
    ):
        peer = [_post(client, body)[0] for body in complaints][WARM_UP:]
    return Report(
        f"POST /api/tickets to suggestions stored, {options.cards:,} cards",
        {
            "EFI: POST answered": milliseconds(answered),
            "EFI: suggestions stored": milliseconds(stored),
            "EFI: of it, the match alone": milliseconds(matched),
            "bare FastAPI + insert: POST answered": milliseconds(peer),
        },
        ["One client on loopback. The bare service signs nobody in, records no event and matches nothing."],
    )


def _measure(client: httpx.Client, complaints: list[dict[str, Any]]) -> tuple[list[float], list[float], list[float]]:
    """Seconds until the answer, until the suggestions are there, and of the match itself, for each ticket."""
    answered, stored, matched = [], [], []
    for body in complaints:
        started = time.perf_counter()
        took, ticket = _post(client, body)
        answered.append(took)
        path = f"/api/tickets/{ticket['ticket_id']}"
        while not client.get(path).raise_for_status().json()["ai_match_performed"]:
            if time.perf_counter() - started > PATIENCE_SECONDS:
                raise TimeoutError(f"{ticket['ticket_id']} was given no suggestions")
            time.sleep(POLL_SECONDS)
        stored.append(time.perf_counter() - started)
        query = {"ticket_id": ticket["ticket_id"], "event_type": "match.completed"}
        (completed,) = client.get("/api/efi/events", params=query).raise_for_status().json()["items"]
        matched.append(completed["data"]["duration_ms"] / 1000)
    return answered[WARM_UP:], stored[WARM_UP:], matched[WARM_UP:]


def _post(client: httpx.Client, body: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    started = time.perf_counter()
    answer = client.post("/api/tickets", json=body)
    took = time.perf_counter() - started
    return took, answer.raise_for_status().json()
