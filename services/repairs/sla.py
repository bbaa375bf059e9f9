"""By when a ticket should be resolved, and how it stands against that.

The time runs from when the ticket was taken in, or the vehicle came back; it does not stop while parts are awaited.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from models.enums import DueState, Priority, TicketStatus

DUE_SOON_SHARE = 0.25
"""What is left of the time when a ticket becomes due soon."""

_targets: dict[Priority, timedelta] = {}


class Timed(Protocol):
    """What decides by when a ticket is due."""

    @property
    def priority(self) -> Priority: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def reopened_at(self) -> datetime | None: ...


class Worked(Timed, Protocol):
    @property
    def status(self) -> TicketStatus: ...
    @property
    def resolved_at(self) -> datetime | None: ...


def configure(hours: Mapping[Priority, float]) -> None:
    """Hours from taking a ticket in to resolving it, by priority; 0 promises nothing."""
    _targets.clear()
    _targets.update({priority: timedelta(hours=number) for priority, number in hours.items() if number})


def due_at(ticket: Timed) -> datetime | None:
    """None where nothing is promised."""
    target = _targets.get(ticket.priority)
    return None if target is None else waiting_since(ticket) + target


def waiting_since(ticket: Timed) -> datetime:
    """When the present passage began."""
    return ticket.reopened_at or ticket.created_at


def state_at(ticket: Timed, now: datetime) -> DueState | None:
    """How a ticket that is not resolved yet stands; None where nothing is promised."""
    due = due_at(ticket)
    if due is None:
        return None
    if due <= now:
        return DueState.overdue
    return DueState.due_soon if due - now <= _targets[ticket.priority] * DUE_SOON_SHARE else DueState.on_time


def state(ticket: Worked, now: datetime) -> DueState | None:
    """How the ticket stands, or stood when it was resolved; None also for one that was closed unresolved."""
    due = due_at(ticket)
    if due is None or ticket.resolved_at is None:
        return None if ticket.status in (TicketStatus.resolved, TicketStatus.closed) else state_at(ticket, now)
    return DueState.met if ticket.resolved_at <= due else DueState.missed
