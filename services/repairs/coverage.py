"""How much of what comes in the knowledge covers: the share of resolved tickets that a known failure explained."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

from app import clock
from models.enums import TicketStatus
from models.ticket import Ticket
from services.paging import made_between

MAKES_LISTED = 50
DECIDED = (TicketStatus.resolved.value, TicketStatus.closed.value)


@dataclass(frozen=True)
class Covered:
    """Tickets that came in, those of them that are resolved by now, and those that a card explained (`known`)."""

    tickets: int
    resolved: int
    known: int

    @property
    def coverage(self) -> float | None:
        """Known / resolved; None without any."""
        return self.known / self.resolved if self.resolved else None


@dataclass(frozen=True)
class MonthCovered(Covered):
    """Of the tickets that came in in this calendar month (UTC)."""

    month: datetime


@dataclass(frozen=True)
class MakeCovered(Covered):
    """Of one make's tickets in the period; empty where tickets name none."""

    make: str


@dataclass(frozen=True)
class CoverageReport:
    """`total` counts every ticket of the period, `by_make` shows the MAKES_LISTED makes with most tickets."""

    generated_at: datetime
    since: datetime
    total: Covered
    by_month: list[MonthCovered]
    by_make: list[MakeCovered]


async def coverage_report(*, months: int = 12) -> CoverageReport:
    """Tickets of this month and of those before it, `months` in all.

    A ticket counts as resolved once somebody has resolved it here; what an import brought closed decides nothing. The
    store adds up each month by itself: what is held grows with makes, not with tickets.
    """
    now = clock.now()
    starts = [_month_before(now, back) for back in reversed(range(months))]
    by_month, makes = [], _Makes()
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        counts = Counter[str]()
        for make, of_make in (await _by_make(start, end)).items():
            makes.add(make, of_make)
            counts.update(of_make)
        by_month.append(MonthCovered(*_figures(counts), month=start))
    total = Covered(*(sum(getattr(one, name) for one in by_month) for name in ("tickets", "resolved", "known")))
    return CoverageReport(now, starts[0], total, by_month, makes.listed())


def _month_before(now: datetime, back: int) -> datetime:
    """The beginning of the month so many months back."""
    year, month = divmod(now.year * 12 + now.month - 1 - back, 12)
    return now.replace(year=year, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


async def _by_make(since: datetime, until: datetime | None) -> dict[str, Counter[str]]:
    conditions = made_between("ticket", since, until)
    resolved = {"$and": [{"$in": ["$status", list(DECIDED)]}, {"$gt": ["$resolution_count", 0]}]}
    explained = {"$and": [resolved, {"$ne": [{"$ifNull": ["$selected_failure_card", None]}, None]}]}
    stages = [
        # First the range of ids, which the index answers by itself.
        {"$match": {"_id": conditions["_id"]}},
        {"$match": {"created_at": conditions["created_at"]}},
        {
            "$group": {
                "_id": "$vehicle_make",
                "tickets": {"$sum": 1},
                "resolved": {"$sum": {"$cond": [resolved, 1, 0]}},
                "known": {"$sum": {"$cond": [explained, 1, 0]}},
            }
        },
    ]
    rows = await (await Ticket.get_pymongo_collection().aggregate(stages)).to_list()
    return {row.pop("_id") or "": Counter(row) for row in rows}


def _figures(counts: Counter[str]) -> tuple[int, int, int]:
    return counts["tickets"], counts["resolved"], counts["known"]


class _Makes:
    """Sums by make. Spellings that differ in case or space are one make, shown as it is written most."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._spelt: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, make: str, counts: Counter[str]) -> None:
        key = " ".join(make.casefold().split())
        self._sums[key].update(counts)
        self._spelt[key][make.strip()] += counts["tickets"]

    def listed(self) -> list[MakeCovered]:
        most = sorted(self._sums, key=lambda key: (-self._sums[key]["tickets"], key))[:MAKES_LISTED]
        return [MakeCovered(*_figures(self._sums[key]), make=self._spelt[key].most_common(1)[0][0]) for key in most]
