"""By when a ticket should be resolved, and how it stands against that."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from models.enums import DueState, Priority, TicketStatus
from services.repairs import sla

OPENED = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def targets() -> Iterator[None]:
    sla.configure({Priority.critical: 4, Priority.high: 24, Priority.medium: 72, Priority.low: 0})
    yield
    sla.configure({})


@pytest.fixture
def ticket() -> SimpleNamespace:
    return SimpleNamespace(
        priority=Priority.high, status=TicketStatus.open, created_at=OPENED, reopened_at=None, resolved_at=None
    )


@pytest.mark.parametrize(
    ("hours", "state"),
    [(0, "on_time"), (17.9, "on_time"), (18, "due_soon"), (23.9, "due_soon"), (24, "overdue"), (99, "overdue")],
)
def test_the_time_runs_out_by_priority(ticket: SimpleNamespace, hours: float, state: str):
    assert sla.due_at(ticket) == OPENED + timedelta(hours=24)
    assert sla.state(ticket, OPENED + timedelta(hours=hours)) == state


def test_a_low_priority_without_target_promises_nothing(ticket: SimpleNamespace):
    ticket.priority = Priority.low
    assert (sla.due_at(ticket), sla.state(ticket, OPENED)) == (None, None)


def test_a_ticket_that_came_back_has_its_time_anew(ticket: SimpleNamespace):
    ticket.reopened_at = OPENED + timedelta(days=9)
    assert sla.state(ticket, OPENED + timedelta(days=9, hours=1)) is DueState.on_time


@pytest.mark.parametrize(("hours", "state"), [(24, "met"), (25, "missed")])
def test_a_resolved_ticket_keeps_how_it_stood(ticket: SimpleNamespace, hours: int, state: str):
    ticket.status, ticket.resolved_at = TicketStatus.closed, OPENED + timedelta(hours=hours)
    assert sla.state(ticket, OPENED + timedelta(days=99)) == state


def test_nothing_is_said_of_a_ticket_closed_unresolved(ticket: SimpleNamespace):
    ticket.status = TicketStatus.closed
    assert sla.state(ticket, OPENED + timedelta(days=99)) is None
