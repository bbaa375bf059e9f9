"""How far the knowledge can be trusted. Cards are added up or streamed: memory does not grow with their number."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app import clock
from app.ids import earliest_id
from models.enums import ConfidenceLevel, FailureCardStatus, SubsystemCategory
from models.event import EfiEvent, EventType
from models.failure_card import FailureCard
from models.learning import CardOutcome
from models.record import Record

LISTED = 20
"""Cards that each list of single cards shows at most."""
VEHICLES_LISTED = 100
STRIDE = 1000
ENOUGH = 3
"""Outcomes that a card needs before its evidence is called poor, in each period before its trend is called falling."""
APPROVED = {"$match": {"status": FailureCardStatus.approved.value}}


@dataclass(frozen=True)
class Group:
    """Approved cards that have something in common. `fix_rate` is successes / uses, None without uses."""

    cards: int
    mean_confidence: float
    never_used: int
    uses: int
    successes: int

    @property
    def fix_rate(self) -> float | None:
        return self.successes / self.uses if self.uses else None


@dataclass(frozen=True)
class LevelGroup(Group):
    level: ConfidenceLevel


@dataclass(frozen=True)
class SubsystemGroup(Group):
    subsystem_category: SubsystemCategory


@dataclass(frozen=True)
class VehicleGroup(Group):
    make: str
    model: str


@dataclass(frozen=True)
class CardLine:
    """One card in a list, as it stands now."""

    failure_id: str
    title: str
    status: FailureCardStatus
    confidence_score: float
    confidence_level: ConfidenceLevel
    usage_count: int
    evidence_mean: float
    evidence_low: float
    evidence_n: float


@dataclass(frozen=True)
class Mover(CardLine):
    """`change` of the confidence score within the period, by so many outcomes."""

    change: float
    outcomes: int


@dataclass(frozen=True)
class Falling(CardLine):
    """Share of repairs that worked: in the period, and in the period of the same length before it."""

    recent_rate: float
    recent_outcomes: int
    earlier_rate: float
    earlier_outcomes: int


@dataclass(frozen=True)
class ConfidenceReport:
    """Groups and lists are of approved cards; `gained` and `lost` are of all cards whose score moved.

    `weak` are those whose lower bound of evidence is under the threshold in spite of ENOUGH outcomes.
    """

    generated_at: datetime
    since: datetime
    threshold: float
    by_level: list[LevelGroup]
    by_subsystem: list[SubsystemGroup]
    by_vehicle: list[VehicleGroup]
    gained: list[Mover]
    lost: list[Mover]
    weak: list[CardLine]
    falling: list[Falling]
    never_used: list[CardLine]
    never_used_count: int


async def confidence_report(*, days: int = 30, threshold: float = 0.5) -> ConfidenceReport:
    """The report of the last `days`: of vehicles the VEHICLES_LISTED with most cards, in other lists LISTED cards."""
    now = clock.now()
    since = now - timedelta(days=days)
    cells = await _cells()
    levels, subsystems = _added_up(cells, 0), _added_up(cells, 1)
    unused = sum(sums["never_used"] for sums in levels.values())
    return ConfidenceReport(
        generated_at=now,
        since=since,
        threshold=threshold,
        by_level=[LevelGroup(**_group(levels.get(level)), level=level) for level in _ORDER],
        by_subsystem=[
            SubsystemGroup(**_group(subsystems[kind]), subsystem_category=kind)
            for kind in SubsystemCategory
            if kind in subsystems
        ],
        by_vehicle=await _vehicles(),
        gained=await _movers(since, rising=True),
        lost=await _movers(since, rising=False),
        weak=await _weak(threshold),
        falling=await _falling(since, timedelta(days=days)),
        never_used=await _never_used(min(LISTED, unused)),
        never_used_count=unused,
    )


_ORDER = (ConfidenceLevel.verified, ConfidenceLevel.high, ConfidenceLevel.medium, ConfidenceLevel.low)


async def _rows(model: type[Record], pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return await (await model.get_pymongo_collection().aggregate(pipeline)).to_list()


Sums = dict[str, float]
_SUMS = {
    "cards": {"$sum": 1},
    "confidence": {"$sum": "$confidence_score"},
    "never_used": {"$sum": {"$cond": [{"$eq": ["$usage_count", 0]}, 1, 0]}},
    "uses": {"$sum": "$usage_count"},
    "successes": {"$sum": "$success_count"},
}


async def _cells() -> dict[tuple[str, str], Sums]:
    """Sums over approved cards by level and subsystem: the store reads the cards once for both."""
    key = {"level": "$confidence_level", "subsystem": "$subsystem_category"}
    rows = await _rows(FailureCard, [APPROVED, {"$group": {"_id": key, **_SUMS}}])
    return {(row["_id"]["level"], row["_id"]["subsystem"]): row for row in rows}


def _added_up(cells: dict[tuple[str, str], Sums], axis: int) -> dict[str, Sums]:
    totals: dict[str, Sums] = {}
    for key, sums in cells.items():
        total = totals.setdefault(key[axis], dict.fromkeys(_SUMS, 0))
        for name in _SUMS:
            total[name] += sums[name]
    return totals


def _group(sums: Sums | None) -> dict[str, Any]:
    """The fields of a Group out of its sums."""
    found = dict(sums or dict.fromkeys(_SUMS, 0))
    confidence = found.pop("confidence")
    counts = {name: found[name] for name in _SUMS if name != "confidence"}
    return counts | {"mean_confidence": confidence / found["cards"] if found["cards"] else 0.0}


async def _vehicles() -> list[VehicleGroup]:
    """A card that names one model in several years counts once for it.

    The cards stream through, three numbers and their vehicles each: what is held grows with models, not with cards. The
    store itself would copy every card for each of its vehicles, at several times the cost.
    """
    fields = dict.fromkeys(("vehicle_models", "confidence_score", "usage_count", "success_count"), 1)
    totals: dict[tuple[str, str], Sums] = {}
    async for card in FailureCard.get_pymongo_collection().find({"status": FailureCardStatus.approved.value}, fields):
        uses = card["usage_count"]
        for vehicle in {(vehicle["make"], vehicle["model"]) for vehicle in card["vehicle_models"]}:
            total = totals.setdefault(vehicle, dict.fromkeys(_SUMS, 0))
            total["cards"] += 1
            total["confidence"] += card["confidence_score"]
            total["never_used"] += not uses
            total["uses"] += uses
            total["successes"] += card["success_count"]
    most = sorted(totals, key=lambda vehicle: (-totals[vehicle]["cards"], vehicle))[:VEHICLES_LISTED]
    return [VehicleGroup(**_group(totals[make, model]), make=make, model=model) for make, model in most]


async def _movers(since: datetime, *, rising: bool) -> list[Mover]:
    rows = await _rows(
        EfiEvent,
        [
            {
                "$match": {
                    "event_type": EventType.confidence_updated.value,
                    "_id": {"$gte": earliest_id("event", since)},
                }
            },
            {
                "$group": {
                    "_id": "$subject_id",
                    "change": {"$sum": {"$subtract": ["$data.new_score", "$data.previous_score"]}},
                    "outcomes": {"$sum": 1},
                }
            },
            {"$match": {"change": {"$gt": 1e-9} if rising else {"$lt": -1e-9}}},
            {"$sort": {"change": -1 if rising else 1, "_id": 1}},
            {"$limit": LISTED},
        ],
    )
    lines = await _lines([row["_id"] for row in rows])
    return [
        Mover(**lines[row["_id"]], change=round(row["change"], 10), outcomes=row["outcomes"])
        for row in rows
        if row["_id"] in lines
    ]


async def _weak(threshold: float) -> list[CardLine]:
    """Few cards have been used often: the index on `evidence_n` leads to them."""
    rows = await _rows(
        FailureCard,
        [
            {"$match": {"evidence_n": {"$gte": ENOUGH}}},
            {"$match": {"status": FailureCardStatus.approved.value, "evidence_low": {"$lt": threshold}}},
            {"$project": _LINE_FIELDS},
            {"$sort": {"evidence_low": 1, "_id": 1}},
            {"$limit": LISTED},
        ],
    )
    return [CardLine(**_line(row)) for row in rows]


async def _falling(since: datetime, period: timedelta) -> list[Falling]:
    """Cards whose repairs worked less often in the period than in the one before it, the deepest fall first."""
    recent = {"$gte": ["$occurred_at", since]}
    worked = {"$and": ["$success", {"$eq": [{"$ifNull": ["$taken_back_at", None]}, None]}]}

    def count(*conditions: Any) -> dict[str, Any]:
        return {"$sum": {"$cond": [{"$and": list(conditions)}, 1, 0]}}

    earlier = {"$not": [recent]}
    rows = await _rows(
        CardOutcome,
        [
            {"$match": {"occurred_at": {"$gte": since - period}}},
            {
                "$group": {
                    "_id": "$card_id",
                    "recent": count(recent),
                    "recent_worked": count(recent, worked),
                    "earlier": count(earlier),
                    "earlier_worked": count(earlier, worked),
                }
            },
            {"$match": {"recent": {"$gte": ENOUGH}, "earlier": {"$gte": ENOUGH}}},
            {
                "$project": {
                    "recent": 1,
                    "earlier": 1,
                    "recent_rate": {"$divide": ["$recent_worked", "$recent"]},
                    "earlier_rate": {"$divide": ["$earlier_worked", "$earlier"]},
                }
            },
            {"$addFields": {"fall": {"$subtract": ["$earlier_rate", "$recent_rate"]}}},
            {"$match": {"fall": {"$gt": 0}}},
            {"$sort": {"fall": -1, "_id": 1}},
            {"$limit": LISTED},
        ],
    )
    lines = await _lines([row["_id"] for row in rows])
    return [
        Falling(
            **lines[row["_id"]],
            recent_rate=row["recent_rate"],
            recent_outcomes=row["recent"],
            earlier_rate=row["earlier_rate"],
            earlier_outcomes=row["earlier"],
        )
        for row in rows
        if row["_id"] in lines and lines[row["_id"]]["status"] is FailureCardStatus.approved
    ]


async def _never_used(wanted: int) -> list[CardLine]:
    """The `wanted` oldest approved cards that nobody has used, read in strides until there are so many."""
    found: list[CardLine] = []
    after = ""
    cards = FailureCard.get_pymongo_collection()
    while len(found) < wanted:
        rows = await cards.find({"_id": {"$gt": after}}, _LINE_FIELDS).sort("_id", 1).limit(STRIDE).to_list()
        lines = [CardLine(**_line(row)) for row in rows if not row["usage_count"]]
        found += [line for line in lines if line.status is FailureCardStatus.approved]
        if len(rows) < STRIDE:
            break
        after = rows[-1]["_id"]
    return found[:wanted]


_LINE_FIELDS = {name: 1 for name in CardLine.__dataclass_fields__ if name != "failure_id"}


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _LINE_FIELDS},
        "failure_id": row["_id"],
        "status": FailureCardStatus(row["status"]),
        "confidence_level": ConfidenceLevel(row["confidence_level"]),
    }


async def _lines(card_ids: list[str]) -> dict[str, dict[str, Any]]:
    rows = FailureCard.get_pymongo_collection().find({"_id": {"$in": card_ids}}, _LINE_FIELDS)
    return {row["_id"]: _line(row) async for row in rows}
