"""Cards due for review: the timer's rounds, the list and the summary, with 10,000 and 100,000 cards in the store.

Beside it the peer: answering the list by reading every card and every outcome at the moment somebody asks.
"""

import argparse
import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from app import clock
from app.database import connect, disconnect
from app.embedded_store import start_embedded_store
from app.ids import id_at, new_id
from app.security import acting_as, system
from benchmarks.report import Figures, Report, milliseconds
from models import ALL_DOCUMENTS
from models.enums import FailureCardStatus, FailureMode, SubsystemCategory
from models.event import EfiEvent, TicketResolved
from models.failure_card import FailureCard, VehicleCompatibility, VersionEntry
from models.governance import DueReason
from models.learning import CardOutcome
from models.record import ActorRef
from services.knowledge import health, health_summary
from services.writing import encode

LIMIT_MS = 100.0
"""What one page of the list may take at the 99th percentile."""
BATCH = 2000
SEED = 15
CHANGED = 200
"""Cards that something happens to between two rounds of five minutes: a large network on a busy day."""
OUTCOMES = 3
"""Per card on the average; half of the cards were never used."""
TICKETS = 20_000
YEARS = 3
IMPORTED = timedelta(days=400)
"""So long ago was the import: its cards grow old on one day, unless they are used."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cards", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--cache", default="256MB", help="cache of the store, as EFI_STORE_CACHE")


def run(options: argparse.Namespace) -> Report:
    rows: dict[str, Figures] = {}
    for count in options.cards:
        rows |= asyncio.run(_run(count, options))
    pages = [figures for label, figures in rows.items() if "page" in label]
    notes = [
        f"{OUTCOMES} outcomes per card on the average, {TICKETS:,} resolved tickets in the summary's period.",
        f"Required: a page of the list below {LIMIT_MS:g} ms at the 99th percentile.",
    ]
    passed = all((figures["p99 ms"] or 0) < LIMIT_MS for figures in pages)
    return Report("Cards due for review", rows, notes, passed)


async def _run(count: int, options: argparse.Namespace) -> dict[str, Figures]:
    with tempfile.TemporaryDirectory(prefix="efi_health_") as folder:
        store = await start_embedded_store(Path(folder), cache_size=options.cache)
        try:
            await connect(store.url, "efi", ALL_DOCUMENTS)
            with acting_as(system("benchmark")):
                await _fill(count)
                return {f"{label}, {count:,} cards": row for label, row in (await _measure(options.queries)).items()}
        finally:
            with contextlib.suppress(Exception):
                await disconnect()
            await store.stop()


async def _measure(queries: int) -> dict[str, Figures]:
    rows = {"EFI: first round, all cards": await _timed(health.look, 1)}
    await _let_settle()
    rows["EFI: a round with nothing new"] = await _timed(health.look, 5)
    busy = []
    for _ in range(5):
        await _happen(CHANGED)
        busy += await _times(health.look, 1)
        await _let_settle()
    rows[f"EFI: a round with {CHANGED} changed cards"] = milliseconds(busy)
    rows["EFI: first page of the list"] = await _timed(health.list_due, queries)
    rows["EFI: a page far down"] = await _timed(await _far_down(), queries)
    rows["EFI: a page for one reason"] = await _timed(lambda: health.list_due(reason=DueReason.falling), queries)
    rows["EFI: summary of 90 days"] = await _timed(health_summary.summary, 5)
    rows["peer: first page by reading everything"] = await _timed(_naive, 2)
    return rows


async def _far_down() -> Callable[[], Awaitable[Any]]:
    after = None
    for _ in range(10):
        after = (await health.list_due(limit=200, after=after)).next or after
    return lambda: health.list_due(after=after)


async def _naive() -> list[str]:
    """What a list without a timer costs: judge all cards on demand, and show the first fifty."""
    found = FailureCard.get_pymongo_collection().find({"status": FailureCardStatus.approved.value}, health.FIELDS)
    cards, due, now = await found.sort("_id", -1).to_list(), [], clock.now()
    for start in range(0, len(cards), BATCH):
        known = await health.known_of(cards[start : start + BATCH], {})
        due += [card_id for card_id, facts in known.items() if health.verdict_on(facts, now).notes]
    return due[:50]


async def _times(work: Callable[[], Awaitable[Any]], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        await work()
        times.append(time.perf_counter() - started)
    return times


async def _timed(work: Callable[[], Awaitable[Any]], repeats: int) -> Figures:
    return milliseconds(await _times(work, repeats))


async def _let_settle() -> None:
    """Rounds look again at what is younger than a few minutes: let all of it be older."""
    past = clock.now() - timedelta(hours=1)
    recent = {"updated_at": {"$gte": past}}
    await FailureCard.get_pymongo_collection().update_many(recent, {"$set": {"updated_at": past}})
    await health.look()


async def _happen(count: int) -> None:
    """An outcome each for some cards."""
    chance = random.Random(count)
    cards = FailureCard.get_pymongo_collection()
    some = [card["_id"] async for card in cards.find({"subsystem_category": "bms"}, {"_id": 1}).limit(count)]
    outcomes = [_outcome(card_id, 0.0, chance) for card_id in some]
    await CardOutcome.get_pymongo_collection().insert_many(outcomes)
    await cards.update_many(
        {"_id": {"$in": some}}, {"$set": {"updated_at": clock.now()}, "$inc": {"usage_count": 1, "revision": 1}}
    )


async def _fill(count: int) -> None:
    chance, now = random.Random(SEED), clock.now()
    template = FailureCard(
        title="Benchmark card",
        subsystem_category=SubsystemCategory.bms,
        failure_mode=FailureMode.degradation,
        status=FailureCardStatus.approved,
        resolution_summary="Replace the balancing board and check the harness. " * 20,
        vehicle_models=[VehicleCompatibility(make="Ather", model="450X", firmware_versions=["4.1"])],
    )
    stored = encode(template.model_dump(by_alias=True))
    stored.pop("id", None)
    kinds = list(SubsystemCategory)
    actor = ActorRef.current()
    for start in range(0, count, BATCH):
        cards, outcomes = [], []
        for number in range(start, min(start + BATCH, count)):
            # Half of the cards came with one import, the others one by one.
            imported = number < count // 2
            age = IMPORTED if imported else timedelta(days=chance.uniform(1, YEARS * 365))
            made = now - age + timedelta(milliseconds=number)
            card_id = id_at("card", made)
            uses = chance.choice([0, 0, 0, 2, 4, 12])
            entry = VersionEntry(version=1, timestamp=made, updated_by=actor, changed_fields=[])
            card = {
                "_id": card_id,
                "subsystem_category": kinds[number % len(kinds)].value,
                "created_at": made,
                "approved_at": made,
                "updated_at": now - timedelta(hours=2),
                "usage_count": uses,
                "open_flags": int(chance.random() < 0.01),
                "version_history": [encode(entry)],
            }
            cards.append(stored | card)
            outcomes += [_outcome(card_id, chance.uniform(0, age.days), chance) for _ in range(uses)]
        await FailureCard.get_pymongo_collection().insert_many(cards)
        await CardOutcome.get_pymongo_collection().insert_many(outcomes)
    await _resolve(TICKETS, chance)


def _outcome(card_id: str, days_ago: float, chance: random.Random) -> dict[str, Any]:
    outcome = CardOutcome(
        card_id=card_id,
        ticket_id=new_id("ticket"),
        resolution_round=1,
        action_ids=[],
        variant="ather|450x|2023",
        technician_id=f"usr_{chance.randrange(500)}",
        site_id=f"site_{chance.randrange(60)}",
        firmware="4.1",
        success=chance.random() < 0.85,
        reason="",
        occurred_at=clock.now() - timedelta(days=days_ago),
        event_id="evt_0",
    )
    stored = encode(outcome.model_dump(by_alias=True))
    return {"_id": outcome.id, **{name: value for name, value in stored.items() if name not in ("id", "_id")}}


async def _resolve(count: int, chance: random.Random) -> None:
    """Tickets resolved within the last 90 days, most of them by a card."""
    now = clock.now()
    for start in range(0, count, BATCH):
        events = []
        for _ in range(min(BATCH, count - start)):
            at = now - timedelta(days=chance.uniform(0, 89))
            said = TicketResolved(
                ticket_id=new_id("ticket"), resolution_round=1, card_id="fc_1" if chance.random() < 0.7 else None
            )
            events.append(
                EfiEvent(
                    id=id_at("event", at),
                    event_type=said.event_type,
                    subject_id=said.subject_id,
                    data=said.model_dump(mode="json"),
                    actor=ActorRef.current(),
                    available_at=at,
                    created_at=at,
                )
            )
        await EfiEvent.insert_many(events)
