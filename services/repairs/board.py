"""The tickets in work, in memory: what workbenches list, narrow, and in line with the store.

A process reads them once and then what has changed: at once what it has written itself, within STALE_SECONDS what
others have. Nothing runs in the background: whoever looks brings the board up to date first, so it costs nothing while
nobody does.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from app import clock
from app.database import written
from app.security import Actor, acting_as, current_actor, system
from models.enums import DueState, Priority, TicketStatus
from models.ticket import Ticket
from services.repairs import sla
from services.repairs.ticket_states import WORKABLE
from services.repairs.visibility import may_see, scope

COLLECTION = Ticket.Settings.name
FRESH_SECONDS, STALE_SECONDS = 0.5, 1.0
"""So old is the board before it is compared with the store, and at most while somebody does."""
OVERLAP = timedelta(seconds=10)
"""Longest time between the `updated_at` of a write and its commit, and how far the clocks of replicas may differ."""
GRAIN_SECONDS = 20
"""Ages and due times are told so exactly: within it a list looks the same."""
LISTS_KEPT = 256
URGENCY = {priority: place for place, priority in enumerate(reversed(Priority))}


@dataclass(frozen=True, slots=True)
class Row:
    """What a list shows of a ticket, and who may see it. Rows that are equal look the same."""

    id: str
    title: str
    priority: Priority
    status: TicketStatus
    created_at: datetime
    reopened_at: datetime | None
    site_id: str | None
    organisation_id: str | None
    assigned_technician_id: str | None
    assigned_technician_name: str
    vehicle_make: str
    vehicle_model: str
    vehicle_year: int | None
    vehicle_number: str
    error_codes_reported: tuple[str, ...]

    def __hash__(self) -> int:
        return hash(self.id)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Row":
        """From a stored document, of which fields that a newer release added may be missing."""
        return cls(
            id=stored["_id"],
            title=stored["title"],
            priority=Priority(stored["priority"]),
            status=TicketStatus(stored["status"]),
            created_at=stored["created_at"],
            error_codes_reported=tuple(stored["error_codes_reported"]),
            **{name: stored.get(name) for name in _OPTIONAL},
            **{name: stored.get(name) or "" for name in _TEXTS},
        )


_TEXTS = ("assigned_technician_name", "vehicle_make", "vehicle_model", "vehicle_number")
_OPTIONAL = ("reopened_at", "site_id", "organisation_id", "assigned_technician_id", "vehicle_year")
_PROJECTION = dict.fromkeys((*(one.name for one in fields(Row) if one.name != "id"), "revision", "updated_at"), 1)


class Order(StrEnum):
    urgency = "urgency"
    """What burns most, then what has waited longest."""
    due = "due"
    newest = "newest"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tickets, in which order. None asks for everything."""

    status: TicketStatus | None = None
    technician_id: str | None = None
    due: DueState | None = None
    order: Order = Order.urgency


@dataclass(frozen=True, slots=True)
class Listing:
    """`rows` in order, and how many are `overdue` and `due_soon` before that choice, all at the instant `at`."""

    rows: tuple[Row, ...]
    overdue: int
    due_soon: int
    at: datetime


class Board:
    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._read_as: dict[str, tuple[int, datetime]] = {}
        self._writes = -1
        self._looked = float("-inf")
        self._read_until: datetime | None = None
        self._reading = asyncio.Lock()
        self._lists: OrderedDict[tuple[Any, ...], Listing] = OrderedDict()

    async def list_for(self, actor: Actor, wanted: Wanted) -> Listing:
        """The tickets in work that the actor may see."""
        await self._catch_up()
        at = _grain(clock.now())
        key = (repr(scope(actor)), wanted, at)
        listing = self._lists.get(key)
        if listing is None:
            listing = self._lists[key] = self._listing(actor, wanted, at)
        self._lists.move_to_end(key)
        while len(self._lists) > LISTS_KEPT:
            self._lists.popitem(last=False)
        return listing

    def _listing(self, actor: Actor, wanted: Wanted, at: datetime) -> Listing:
        found = [
            row
            for row in self._rows.values()
            if (wanted.status is None or row.status is wanted.status)
            and (wanted.technician_id is None or row.assigned_technician_id == wanted.technician_id)
            and may_see(actor, row)
        ]
        states = {row.id: sla.state_at(row, at) for row in found}
        counted = list(states.values())
        rows = found if wanted.due is None else [row for row in found if states[row.id] is wanted.due]
        return Listing(
            tuple(_ordered(rows, wanted.order)), counted.count(DueState.overdue), counted.count(DueState.due_soon), at
        )

    async def _catch_up(self) -> None:
        """Bring the rows in line with the store: one caller at a time, and others wait only if they must."""
        if self._within(FRESH_SECONDS) or (self._reading.locked() and self._within(STALE_SECONDS)):
            return
        async with self._reading:
            if not self._within(FRESH_SECONDS):
                with acting_as(system("board", cause=current_actor().cause)):
                    await self._read()

    def _within(self, seconds: float) -> bool:
        return self._writes == written(COLLECTION) and time.monotonic() - self._looked < seconds

    async def _read(self) -> None:
        writes, looked, now = written(COLLECTION), time.monotonic(), clock.now()
        if self._read_until is None:
            queries: list[dict[str, Any]] = [{"status": status} for status in sorted(WORKABLE)]
        else:
            queries = [{"updated_at": {"$gte": self._read_until - OVERLAP}}]
        tickets = Ticket.get_pymongo_collection()
        found = [ticket for query in queries async for ticket in tickets.find(query, _PROJECTION)]
        changed = [ticket for ticket in found if self._take(ticket)]
        if changed:
            self._lists.clear()
        self._writes, self._looked, self._read_until = writes, looked, now

    def _take(self, stored: Mapping[str, Any]) -> bool:
        """Returns whether any list may look otherwise now."""
        id_, state = stored["_id"], (stored["revision"], stored["updated_at"])
        if stored["status"] not in WORKABLE:
            self._read_as.pop(id_, None)
            return self._rows.pop(id_, None) is not None
        if self._read_as.get(id_) == state:
            return False
        self._read_as[id_] = state
        row = Row.of(stored)
        if self._rows.get(id_) == row:
            return False
        self._rows[id_] = row
        return True


def _ordered(rows: list[Row], order: Order) -> list[Row]:
    match order:
        case Order.newest:
            return sorted(rows, key=lambda row: row.id, reverse=True)
        case Order.due:
            return sorted(rows, key=lambda row: (sla.due_at(row) or clock.LAST, URGENCY[row.priority], row.id))
        case Order.urgency:
            return sorted(rows, key=lambda row: (URGENCY[row.priority], sla.waiting_since(row), row.id))


def _grain(instant: datetime) -> datetime:
    """The instant, rounded down to the grain."""
    return instant - timedelta(seconds=instant.timestamp() % GRAIN_SECONDS)


_board: Board | None = None


def serve(board: Board | None) -> None:
    """Use this board from now on."""
    global _board
    _board = board


async def list_active(wanted: Wanted) -> Listing:
    """The tickets in work that the current actor may see."""
    if _board is None:
        raise RuntimeError("no board is served")
    return await _board.list_for(current_actor(), wanted)
