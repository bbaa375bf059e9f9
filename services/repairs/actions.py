"""Technician actions: recording what was done on a ticket, checked against the ticket and against itself."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from app import clock
from app.database import in_transaction
from app.errors import Forbidden, Invalid, NotFound
from app.security import Actor, Role, current_actor
from models.account import User
from models.enums import ResolutionOutcome, TicketStatus
from models.event import (
    ActionCompleted,
    ActionStarted,
    CardRated,
    CardUsed,
    FailureDiscovered,
    Payload,
    TicketInProgress,
)
from models.technician_action import ActionContent, TechnicianAction
from models.ticket import Ticket
from models.types import Measurement
from services import readings
from services.paging import Page
from services.repairs import usage
from services.repairs.cards import require_cards
from services.repairs.photos import require_photos
from services.repairs.queries import visible_page
from services.repairs.ticket_moves import round_of
from services.repairs.ticket_states import check_workable
from services.repairs.tickets import record_for, status_change
from services.repairs.visibility import load_visible, sites_filter, works_at
from services.writing import update

CLOCK_TOLERANCE = timedelta(minutes=2)
"""A workshop's tablet may run ahead a little; what lies further in the future is a wrong clock or a wrong zone."""

INDEXES = [("ticket_id",), ("failure_card_used",), ("technician_id",), ("site_id",)]

Fault = tuple[str, str]


async def record(content: ActionContent, *, technician_id: str | None = None) -> TechnicianAction:
    """Record an action on the ticket's present passage, with its events.

    The technician is the caller; an admin may record on behalf of another. A ticket that nobody has started is
    started by it. Raises NotFound (no such ticket for the caller), IllegalMove (the ticket is resolved or closed:
    reopen it), ImpossibleReading, and Invalid with every field that contradicts another or names nothing.
    """
    readings.check(_readings_in(content))
    _check(content, clock.now())

    async def work() -> TechnicianAction:
        ticket = await load_visible(content.ticket_id)
        check_workable(ticket.status, "worked")
        await require_cards(_cards_named(content))
        await require_photos(ticket.id, content.photos)
        technician = await _technician(technician_id)
        action = TechnicianAction(
            **{name: getattr(content, name) for name in ActionContent.model_fields}
            | {"completed_at": content.completed_at or clock.now()},
            technician_id=technician.id,
            technician_name=technician.name,
            site_id=ticket.site_id,
            resolution_round=round_of(ticket),
        )
        await action.insert()
        await usage.link(action)
        touched, started = await _touch(ticket, action)
        await record_for(touched, *started, *_events(action))
        return action

    return await in_transaction(work)


async def list_actions(
    *,
    ticket_id: str | None = None,
    technician_id: str | None = None,
    card_id: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[TechnicianAction]:
    """One page of the actions at the sites that the current actor may see, newest first."""
    fields = {"ticket_id": ticket_id, "technician_id": technician_id, "failure_card_used": card_id}
    query: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    visible = sites_filter(current_actor())
    return await visible_page(TechnicianAction, visible, query, INDEXES, limit=limit, after=after)


async def get(action_id: str) -> TechnicianAction:
    """The action. Raises NotFound if there is none at the sites that the current actor may see."""
    action = await TechnicianAction.find_one({"_id": action_id})
    if action is None or not works_at(current_actor(), action.site_id):
        raise NotFound.of("technician action", action_id)
    return action


async def _technician(named: str | None) -> Actor | User:
    actor = current_actor()
    if named is None or named == actor.id:
        return actor
    if not actor.has(Role.admin):
        raise Forbidden("Only an admin records an action on behalf of another technician.")
    user = await User.find_one({"_id": named})
    if user is None or Role.technician not in user.roles:
        raise Invalid.field("technician_id", "names no technician", named)
    return user


def _readings_in(content: ActionContent) -> Iterator[tuple[str, Measurement]]:
    """Every measurement with the path of its field."""
    for number, reading in enumerate(content.measurements):
        yield f"measurements.{number}", reading
    for place, done in enumerate(content.attempted_diagnostics):
        for number, reading in enumerate(done.measurements):
            yield f"attempted_diagnostics.{place}.measurements.{number}", reading


def _check(content: ActionContent, now: datetime) -> None:
    faults = [*_faults_of_outcome(content), *_faults_of_discovery(content), *_faults_of_time(content, now)]
    if faults:
        raise Invalid(
            "; ".join(f"{field}: {rule}" for field, rule in faults[:5]),
            errors=[{"field": field, "rule": rule} for field, rule in faults],
        )


def _faults_of_outcome(content: ActionContent) -> Iterator[Fault]:
    outcome = content.resolution_outcome
    if content.issue_resolved and outcome in (ResolutionOutcome.failed, ResolutionOutcome.escalated):
        yield "issue_resolved", f"cannot be true when the outcome is {outcome}"
    if outcome is ResolutionOutcome.escalated and not content.escalation_reason:
        yield "escalation_reason", "is required when the outcome is escalated"
    if content.failure_card_used is None:
        for field in ("failure_card_helpful", "failure_card_accuracy_rating"):
            if getattr(content, field) is not None:
                yield field, "rates a card, but failure_card_used names none"
        if content.failure_card_modifications:
            yield "failure_card_modifications", "changes a card, but failure_card_used names none"
    for place, rejected in enumerate(content.rejected_hypotheses):
        if rejected.card_id is not None and rejected.card_id == content.failure_card_used:
            yield f"rejected_hypotheses.{place}.card_id", "is the card that was used: it cannot be ruled out as well"


def _faults_of_discovery(content: ActionContent) -> Iterator[Fault]:
    if content.new_failure_discovered:
        if not content.new_failure_description:
            yield "new_failure_description", "is required when new_failure_discovered is true"
        return
    for field in ("new_failure_description", "new_failure_root_cause", "new_failure_resolution"):
        if getattr(content, field):
            yield field, "describes a discovery, but new_failure_discovered is false"


def _faults_of_time(content: ActionContent, now: datetime) -> Iterator[Fault]:
    instants = {"started_at": content.started_at, "completed_at": content.completed_at}
    for n, done in enumerate(content.attempted_diagnostics):
        instants[f"attempted_diagnostics.{n}.timestamp"] = done.timestamp
    for n, rejected in enumerate(content.rejected_hypotheses):
        instants[f"rejected_hypotheses.{n}.ruled_out_at"] = rejected.ruled_out_at
    for field, instant in instants.items():
        if instant is not None and instant > now + CLOCK_TOLERANCE:
            yield field, "lies in the future: check the clock and its zone"
    if content.started_at and content.completed_at and content.completed_at < content.started_at:
        yield "completed_at", "is before started_at"


def _cards_named(content: ActionContent) -> dict[str, str | None]:
    named: dict[str, str | None] = {"failure_card_used": content.failure_card_used}
    for field in ("failure_cards_suggested", "failure_cards_viewed"):
        named |= {f"{field}.{n}": card_id for n, card_id in enumerate(getattr(content, field))}
    for field in ("attempted_diagnostics", "rejected_hypotheses"):
        named |= {f"{field}.{n}.card_id": entry.card_id for n, entry in enumerate(getattr(content, field))}
    return named


async def _touch(ticket: Ticket, action: TechnicianAction) -> tuple[Ticket, list[Payload]]:
    """What the action changes on its ticket: work has begun, the card chosen, a failure discovered.

    The ticket is written even if nothing of that changes, so that an action and the ticket's resolution cannot pass
    each other: one of them sees the other's work.
    """
    changes: dict[str, Any] = {}
    push = None
    started: list[Payload] = []
    if ticket.status is TicketStatus.open:
        changes["status"] = TicketStatus.in_progress
        push = {"status_history": status_change(TicketStatus.in_progress)}
        started = [
            TicketInProgress(ticket_id=ticket.id, status=TicketStatus.in_progress, previous_status=ticket.status),
            ActionStarted(
                ticket_id=ticket.id,
                technician_id=action.technician_id,
                started_at=action.started_at or action.completed_at,
            ),
        ]
    if action.failure_card_used not in (None, ticket.selected_failure_card):
        changes["selected_failure_card"] = action.failure_card_used
    if action.new_failure_discovered and not ticket.new_failure_discovered:
        changes["new_failure_discovered"] = True
    return await update(ticket, changes, push=push), started


def _events(action: TechnicianAction) -> Iterator[Payload]:
    card = {"card_id": action.failure_card_used, "ticket_id": action.ticket_id, "action_id": action.id}
    yield ActionCompleted(action_id=action.id, ticket_id=action.ticket_id, outcome=action.resolution_outcome)
    if action.failure_card_used is not None:
        yield CardUsed(**card)
        if action.failure_card_helpful is not None or action.failure_card_accuracy_rating is not None:
            yield CardRated(
                **card, helpful=action.failure_card_helpful, accuracy_rating=action.failure_card_accuracy_rating
            )
    if action.new_failure_discovered:
        yield FailureDiscovered(action_id=action.id, ticket_id=action.ticket_id)
