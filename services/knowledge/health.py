"""Cards due for review: kept up to date by a timer that follows what changes, read as a list, settled by reviewing.

The timer never reads all cards twice. It follows them by `updated_at`, which every edit, outcome, rejection, flag and
review advances; beyond that it looks at those whose time has come (`check_at`): cards grow old, and firmware is
established in the field, without anybody touching the card.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo import UpdateOne

from app import clock
from app.database import transaction
from app.errors import Forbidden, IllegalMove, Invalid
from app.security import current_actor
from models.enums import FailureCardStatus, SubsystemCategory
from models.event import CardUpdated
from models.failure_card import FailureCard
from models.governance import CardHealth, DueReason, HealthProgress
from models.learning import CardEvidence
from services.events import record
from services.knowledge import firmware
from services.knowledge.access import is_curator
from services.knowledge.changes import announce
from services.knowledge.due import OFTEN, Known, Verdict, judge
from services.knowledge.evidence_rows import POOLED, half_life, row_of
from services.knowledge.use_review import uses_of
from services.paging import CLOCK_SKEW, Page
from services.writing import encode, update

log = structlog.get_logger(__name__)

BATCH = 500
FIRST_RANGE = 0.002
_CURSOR = re.compile(r"[01]\.[0-9]{1,20}|[0-9](\.[0-9]{1,20})?e-[0-9]{1,2}")
LATE = CLOCK_SKEW
"""A write may appear so long after the time it carries: what is so young is looked at once more in the next round."""
PROGRESS = "cards"
FIELDS = dict.fromkeys(
    (
        "title",
        "subsystem_category",
        "status",
        "usage_count",
        "rejected_count",
        "open_flags",
        "created_at",
        "updated_at",
        "approved_at",
        "last_reviewed_at",
        "merged_from",
        "vehicle_models",
        "failure_conditions",
        "version_history.timestamp",
    ),
    1,
)
"""Of a card, what judging it needs."""


class _Policy:
    review_after = timedelta(days=365)


def configure(*, review_after_days: int) -> None:
    """Set after how many days without review or confirmation a card is due (Settings.review_after_days)."""
    _Policy.review_after = timedelta(days=review_after_days)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of the timer did: cards judged, and those whose verdict changed."""

    judged: int
    changed: int


async def look() -> Round:
    """Judge every card that has changed since the last round, and every one whose time has come."""
    followed = await _follow()
    timely = await _timely()
    done = Round(followed.judged + timely.judged, followed.changed + timely.changed)
    if done.changed:
        log.info("cards judged", judged=done.judged, changed=done.changed)
    return done


async def _follow() -> Round:
    days, sure = _Policy.review_after.days, clock.now() - LATE
    progress = await HealthProgress.find_one({"_id": PROGRESS})
    until = progress.followed_until if progress and progress.review_after_days == days else None
    since = {"updated_at": {"$gte": until}} if until else {}
    order = [("updated_at", 1), ("_id", 1)]
    changed, batch, judged = 0, [], 0
    async for card in FailureCard.get_pymongo_collection().find(since, FIELDS).sort(order):
        batch.append(card)
        if len(batch) == BATCH:
            changed += await _judge(batch)
            # So a round that is cut short goes on from here.
            await _note_progress(min(batch[-1]["updated_at"], sure), days)
            judged, batch = judged + len(batch), []
    if batch:
        changed += await _judge(batch)
    await _note_progress(sure, days)
    return Round(judged + len(batch), changed)


async def _note_progress(until: datetime, days: int) -> None:
    now = clock.now()
    await HealthProgress.get_pymongo_collection().update_one(
        {"_id": PROGRESS},
        {
            "$set": {"followed_until": until, "review_after_days": days, "updated_at": now},
            "$inc": {"revision": 1},
            "$setOnInsert": {"created_at": now},
        },
        upsert=True,
    )


async def _timely() -> Round:
    rows = CardHealth.get_pymongo_collection().find({"check_at": {"$lte": clock.now()}}, {"_id": 1, "check_at": 1})
    waiting = [row["_id"] async for row in rows]
    changed = 0
    for start in range(0, len(waiting), BATCH):
        changed += await judge_cards(waiting[start : start + BATCH])
    return Round(len(waiting), changed)


async def judge_cards(card_ids: Sequence[str]) -> int:
    """Judge these cards now; returns how many verdicts changed. What is said of a card that is gone goes too."""
    found = FailureCard.get_pymongo_collection().find({"_id": {"$in": list(card_ids)}}, FIELDS)
    cards = [card async for card in found]
    if gone := sorted(set(card_ids) - {card["_id"] for card in cards}):
        await CardHealth.get_pymongo_collection().delete_many({"_id": {"$in": gone}})
    return len(gone) + await _judge(cards)


async def _judge(cards: Sequence[Mapping[str, Any]]) -> int:
    now = clock.now()
    stored = {row.id: row async for row in CardHealth.find({"_id": {"$in": [card["_id"] for card in cards]}})}
    approved = [card for card in cards if card["status"] == FailureCardStatus.approved.value]
    known = await known_of(approved, stored)
    new, writes = [], []
    for card in cards:
        row = stored.get(card["_id"])
        if card["_id"] in known:
            facts = known[card["_id"]]
            fresh = _row(card, verdict_on(facts, now), sorted(facts.firmware), row)
        elif row is not None:
            fresh = _row(card, Verdict([], None), [], row)
        else:
            continue
        if row is None:
            new.append(CardHealth(id=card["_id"], slot=_slot(card["_id"]), **fresh))
        elif any(getattr(row, name) != value for name, value in fresh.items()):
            writes.append(_write(card["_id"], fresh, now))
    if new:  # the store takes inserts a hundred times as fast as upserts
        await CardHealth.insert_many(new)
    if writes:
        await CardHealth.get_pymongo_collection().bulk_write(writes, ordered=False)
    return len(new) + len(writes)


def _row(card: Mapping[str, Any], verdict: Verdict, models: list[str], before: CardHealth | None) -> dict[str, Any]:
    """The fields of the card's row. A reason that held before keeps the time since when it does."""
    since = {note.reason: note.since for note in before.notes} if before else {}
    notes = [note.model_copy(update={"since": min(note.since, since.get(note.reason, note.since))})
             for note in verdict.notes]  # fmt: skip
    return {
        "title": card["title"],
        "subsystem_category": SubsystemCategory(card["subsystem_category"]),
        "due": bool(notes),
        "due_reasons": [note.reason for note in notes],
        "notes": notes,
        "check_at": verdict.check_at,
        "firmware_models": models,
    }


def _write(card_id: str, fresh: Mapping[str, Any], now: datetime) -> UpdateOne:
    return UpdateOne(
        {"_id": card_id},
        {"$set": {**encode(fresh), "updated_at": now}, "$inc": {"revision": 1}},
    )


def verdict_on(facts: Known, now: datetime) -> Verdict:
    """The rules of `due`, by what the service is set to."""
    return judge(facts, now, review_after=_Policy.review_after, half_life=half_life())


async def known_of(cards: Sequence[Mapping[str, Any]], stored: Mapping[str, CardHealth]) -> dict[str, Known]:
    """What the rules look at, read for all cards together."""
    used = {card["_id"]: card.get("merged_from", []) for card in cards if card["usage_count"]}
    uses = await uses_of(used) if used else {}
    versions = {card["_id"]: firmware.stated(card) for card in cards}
    seen = await firmware.sightings(model for stated in versions.values() for model in stated)
    rejected = {card["_id"]: card["rejected_count"] - _rejected_before(stored.get(card["_id"])) for card in cards}
    often = [f"{card_id}|{POOLED}" for card_id, count in rejected.items() if count >= OFTEN]
    evidence = {}
    if often:
        evidence = {row.card_id: row_of(row).sums async for row in CardEvidence.find({"_id": {"$in": often}})}
    return {
        card["_id"]: Known(
            asserted_at=_asserted_at(card),
            open_flags=card.get("open_flags", 0),
            uses=uses.get(card["_id"], ()),
            rejections=rejected[card["_id"]],
            evidence=evidence.get(card["_id"]),
            firmware=versions[card["_id"]],
            sightings=seen,
        )
        for card in cards
    }


def _rejected_before(row: CardHealth | None) -> int:
    return row.rejected_at_review if row else 0


def _asserted_at(card: Mapping[str, Any]) -> datetime:
    """When an expert last stood for the content: by writing, approving or reviewing it."""
    written = (entry["timestamp"] for entry in card.get("version_history", ()))
    stood = (card.get("approved_at"), card.get("last_reviewed_at"), card["created_at"], *written)
    return max(instant for instant in stood if instant is not None)


async def list_due(
    *,
    reason: DueReason | None = None,
    subsystem_category: SubsystemCategory | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[CardHealth]:
    """Cards due for review, for one reason if it is named, in an order that stays but means nothing.

    The store reads all that matches, whatever the limit, and thousands may be due at once: a page reads ranges of
    `slot` that grow until it is full. Raises Invalid for a cursor that was not given out.
    """
    query: dict[str, Any] = {"due": True} if reason is None else {"due_reasons": reason}
    also = {} if subsystem_category is None else {"subsystem_category": subsystem_category}
    low, width = _slot_after(after), FIRST_RANGE
    found: list[CardHealth] = []
    while low < 1.0 and len(found) <= limit:
        within = [{"$match": query | {"slot": {"$gte": low, "$lt": low + width}}}, {"$match": also}]
        rows = await (await CardHealth.get_pymongo_collection().aggregate(within)).to_list()
        found += sorted((CardHealth.model_validate(row) for row in rows), key=lambda row: row.slot)
        low, width = low + width, width * 8
    return Page(found[:limit], repr(found[limit].slot) if len(found) > limit else None)


def _slot_after(cursor: str | None) -> float:
    if cursor is None:
        return 0.0
    if not _CURSOR.fullmatch(cursor):
        raise Invalid.field("after", "is not a cursor that this service gave out")
    return float(cursor)


def _slot(card_id: str) -> float:
    digest = hashlib.blake2b(card_id.encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


async def health_of(card_id: str) -> CardHealth | None:
    """The card's row as it was last written; None before the first round, and for one that was never approved."""
    return await CardHealth.find_one({"_id": card_id})


async def reviewed(card: FailureCard) -> FailureCard:
    """Say that a card is still right: it makes no version, and is due again only for what happens from now on.

    Open flags stay open: they are settled one by one. Raises Forbidden, and IllegalMove unless the card is approved.
    """
    actor = current_actor()
    if not is_curator(actor):
        raise Forbidden("Experts and admins review cards.")
    if card.status is not FailureCardStatus.approved:
        raise IllegalMove(f"A card that is {card.status} is not in use: there is nothing to confirm.")
    async with transaction():
        seen = await update(card, {"last_reviewed_at": clock.now(), "last_reviewed_by": actor.id})
        now = clock.now()
        await CardHealth.get_pymongo_collection().update_one(
            {"_id": card.id},
            {
                "$set": {"rejected_at_review": seen.rejected_count, "updated_at": now},
                "$inc": {"revision": 1},
                "$setOnInsert": {"created_at": now, "title": seen.title, "slot": _slot(card.id)},
            },
            upsert=True,
        )
        await judge_cards([card.id])
        await record(
            CardUpdated(card_id=card.id, version=card.version, changed_fields=[], change="reviewed"),
            site_id=card.source_garage_id,
        )
        announce(card.id)
    return seen
