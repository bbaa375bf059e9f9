"""The stored sums of outcomes, by card and vehicle variant: read, added to, and written back together."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from pymongo import UpdateOne

from app import clock
from app.database import Access, guard, in_a_transaction
from app.security import acting_as, system
from models.learning import CardEvidence
from services.batches import Batches
from services.knowledge.learning import Decayed

POOLED = "*"
"""In place of a variant: the outcomes of all variants. A variant always contains bars, so it never reads like this."""

_COUNTS = ("successes", "failures", "rejections", "outcomes", "ruled_out")


class _Policy:
    half_life = timedelta(days=365)


class _Reading:
    batches: Batches[Iterable[str], dict[str, Mapping[str, Any]]] | None = None


def configure(*, half_life_days: float) -> None:
    """Set after how many days an outcome counts half (Settings.evidence_half_life_days)."""
    _Policy.half_life = timedelta(days=half_life_days)


def half_life() -> timedelta:
    return _Policy.half_life


@contextmanager
def reads_shared() -> Iterator[None]:
    """Within it those who ask at the same time, outside of transactions, share a read. For one event loop."""
    _Reading.batches = Batches(_read_together)
    try:
        yield
    finally:
        _Reading.batches = None


@dataclass
class EvidenceRow:
    """One stored row of evidence while it is being changed."""

    card_id: str
    variant: str
    sums: Decayed
    outcomes: int = 0
    ruled_out: int = 0

    def add(
        self, occurred_at: datetime, *, successes: int = 0, failures: int = 0, rejections: int = 0, outcomes: int = 0
    ) -> None:
        self.sums = self.sums.plus(
            occurred_at, half_life(), successes=successes, failures=failures, rejections=rejections
        )
        self.outcomes += outcomes
        self.ruled_out += rejections

    def take_over(self, other: "EvidenceRow") -> None:
        """Add what another card's row of the same variant holds."""
        self.sums = self.sums.together(other.sums, half_life())
        self.outcomes += other.outcomes
        self.ruled_out += other.ruled_out


def row_of(stored: CardEvidence) -> EvidenceRow:
    sums = Decayed(stored.as_of, stored.successes, stored.failures, stored.rejections)
    return EvidenceRow(stored.card_id, stored.variant, sums, stored.outcomes, stored.ruled_out)


async def rows_on(card_ids: list[str], variant: str) -> dict[tuple[str, str], EvidenceRow]:
    """The rows of these cards for the variant and for all variants, empty ones where nothing is stored."""
    wanted = {f"{card_id}|{kind}": (card_id, kind) for card_id in card_ids for kind in (variant, POOLED)}
    alone = in_a_transaction() or _Reading.batches is None
    stored = await (_stored(wanted) if alone else _shared(wanted))
    empty = Decayed(clock.now())
    return {key: _row(key, stored[id_]) if id_ in stored else EvidenceRow(*key, empty) for id_, key in wanted.items()}


async def _stored(ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    found = CardEvidence.get_pymongo_collection().find(
        {"_id": {"$in": list(ids)}}, dict.fromkeys(("as_of", *_COUNTS), 1)
    )
    return {row["_id"]: row for row in await found.to_list()}


async def _shared(ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """As `_stored`, in one read with those who ask meanwhile. It begins after this call and sees what is stored now."""
    guard.check(CardEvidence.Settings.name, Access.read)
    return await _Reading.batches.join(ids)


async def _read_together(asked: list[Iterable[str]]) -> dict[str, Mapping[str, Any]]:
    with acting_as(system("evidence")):
        return await _stored(set(chain.from_iterable(asked)))


def _row(key: tuple[str, str], stored: Mapping[str, Any]) -> EvidenceRow:
    """As `row_of`, without making a model of it: every match asks for ten."""
    successes, failures, rejections, outcomes, ruled_out = (stored.get(name, 0) for name in _COUNTS)
    return EvidenceRow(*key, Decayed(stored["as_of"], successes, failures, rejections), outcomes, ruled_out)


async def write_rows(rows: list[EvidenceRow]) -> None:
    """Store the rows, new ones too. Belongs in the transaction that read them."""
    now = clock.now()
    await CardEvidence.get_pymongo_collection().bulk_write(
        [
            UpdateOne(
                {"_id": f"{row.card_id}|{row.variant}"},
                {
                    "$set": {
                        "successes": row.sums.successes,
                        "failures": row.sums.failures,
                        "rejections": row.sums.rejections,
                        "as_of": row.sums.as_of,
                        "outcomes": row.outcomes,
                        "ruled_out": row.ruled_out,
                        "updated_at": now,
                    },
                    "$inc": {"revision": 1},
                    "$setOnInsert": {"card_id": row.card_id, "variant": row.variant, "created_at": now},
                },
                upsert=True,
            )
            for row in rows
        ]
    )
