"""How the knowledge does as a whole: counts from indexes, and sums over a period's events."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from app import clock
from app.ids import earliest_id
from models.enums import FailureCardStatus, SourceType
from models.event import EfiEvent, EventType
from models.failure_card import FailureCard, Review
from models.governance import CardFlag, CardHealth, CardProposal, DueReason, FlagStatus, ProposalStatus
from models.learning import CardOutcome
from models.record import Record

IN_STRIDES = 500


@dataclass(frozen=True)
class Waiting:
    """Drafts that wait for an expert; ages in hours, None where nothing waits."""

    drafts: int
    median_age_hours: float | None
    oldest_age_hours: float | None


@dataclass(frozen=True)
class HealthSummary:
    """Counts are as of now. Of the period since `since`: `resolved_tickets` and how many of them named a card
    (`linked_tickets`), how many cards were used and how often, and how long cards discovered in the field waited for
    approval. Shares are None where there is nothing to divide by."""

    generated_at: datetime
    since: datetime
    cards: dict[FailureCardStatus, int]
    due: int
    due_by_reason: dict[DueReason, int]
    flags_open: int
    proposals_open: int
    waiting: Waiting
    resolved_tickets: int
    linked_tickets: int
    coverage: float | None
    cards_used: int
    uses: int
    reuse_rate: float | None
    discoveries_approved: int
    median_approval_hours: float | None


async def summary(*, days: int = 90) -> HealthSummary:
    """The summary of the last `days`."""
    now = clock.now()
    since = now - timedelta(days=days)
    cards = await _cards()
    resolved, linked = await _resolved(since)
    used, uses = await _used(since)
    hours = await _approval_hours(since)
    in_use = cards[FailureCardStatus.approved]
    return HealthSummary(
        generated_at=now,
        since=since,
        cards=cards,
        due=await _count(CardHealth, {"due": True}),
        due_by_reason={reason: await _count(CardHealth, {"due_reasons": reason.value}) for reason in DueReason},
        flags_open=await _count(CardFlag, {"status": FlagStatus.open.value}),
        proposals_open=await _count(CardProposal, {"status": ProposalStatus.open.value}),
        waiting=await _waiting(now),
        resolved_tickets=resolved,
        linked_tickets=linked,
        coverage=linked / resolved if resolved else None,
        cards_used=used,
        uses=uses,
        reuse_rate=min(1.0, used / in_use) if in_use else None,
        discoveries_approved=len(hours),
        median_approval_hours=round(median(hours), 2) if hours else None,
    )


async def _cards() -> dict[FailureCardStatus, int]:
    """Cards by state. Approved ones are what the others leave of all: counting costs what it counts, and they are many,
    while the store knows how many there are in all."""
    others = [status for status in FailureCardStatus if status is not FailureCardStatus.approved]
    counts = {status: await _count(FailureCard, {"status": status.value}) for status in others}
    everything = await FailureCard.get_pymongo_collection().estimated_document_count()
    counts[FailureCardStatus.approved] = max(0, everything - sum(counts.values()))
    return {status: counts[status] for status in FailureCardStatus}


async def _count(model: type[Record], query: dict[str, Any]) -> int:
    return await model.get_pymongo_collection().count_documents(query)


async def _rows(model: type[Record], pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return await (await model.get_pymongo_collection().aggregate(pipeline)).to_list()


def _events(kind: EventType, since: datetime) -> dict[str, Any]:
    return {"$match": {"event_type": kind.value, "_id": {"$gte": earliest_id("event", since)}}}


async def _resolved(since: datetime) -> tuple[int, int]:
    """Tickets resolved in the period, and those of them that named a card at any of their resolutions."""
    named = {"$cond": [{"$eq": [{"$ifNull": ["$data.card_id", None]}, None]}, 0, 1]}
    rows = await _rows(
        EfiEvent,
        [
            _events(EventType.ticket_resolved, since),
            {"$group": {"_id": "$subject_id", "linked": {"$max": named}}},
            {"$group": {"_id": None, "tickets": {"$sum": 1}, "linked": {"$sum": "$linked"}}},
        ],
    )
    return (rows[0]["tickets"], rows[0]["linked"]) if rows else (0, 0)


async def _used(since: datetime) -> tuple[int, int]:
    """Cards used in the period, and passages in which one was."""
    rows = await _rows(
        CardOutcome,
        [
            {"$match": {"occurred_at": {"$gte": since}}},
            {"$group": {"_id": "$card_id", "uses": {"$sum": 1}}},
            {"$group": {"_id": None, "cards": {"$sum": 1}, "uses": {"$sum": "$uses"}}},
        ],
    )
    return (rows[0]["cards"], rows[0]["uses"]) if rows else (0, 0)


async def _approval_hours(since: datetime) -> list[float]:
    """Hours from discovery to first approval, of field discoveries approved in the period."""
    rows = await _rows(EfiEvent, [_events(EventType.card_approved, since), {"$group": {"_id": "$subject_id"}}])
    approved = [row["_id"] for row in rows]
    hours: list[float] = []
    fields = {"source_type": 1, "created_at": 1, "approved_at": 1}
    for start in range(0, len(approved), IN_STRIDES):
        wanted = {"_id": {"$in": approved[start : start + IN_STRIDES]}}
        cards = await FailureCard.get_pymongo_collection().find(wanted, fields).to_list()
        hours += [
            (card["approved_at"] - card["created_at"]).total_seconds() / 3600
            for card in cards
            if card["source_type"] == SourceType.field_discovery.value and card["approved_at"] is not None
        ]
    return hours


async def _waiting(now: datetime) -> Waiting:
    reviews = Review.get_pymongo_collection().find({"open": True}, {"created_at": 1})
    ages = [(now - review["created_at"]).total_seconds() / 3600 async for review in reviews]
    if not ages:
        return Waiting(0, None, None)
    return Waiting(len(ages), round(median(ages), 2), round(max(ages), 2))
