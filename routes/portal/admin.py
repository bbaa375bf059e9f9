"""Administration: how far the knowledge is trusted, what happened and what failed, and the settings in force."""

from functools import partial
from typing import Annotated

from fastapi import Depends, Path
from pydantic import SecretStr
from starlette.responses import Response

from app.ids import Id
from models.enums import EventStatus
from models.event import EfiEvent, EventType
from routes.portal import render
from routes.portal.charts import Bar
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.tables import download, every
from routes.portal.tickets import ticket_filter
from routes.portal.visit import Visit, see_other
from services.events import log
from services.events.log import EventFilter
from services.knowledge.reports import ConfidenceReport, confidence_report
from services.repairs import tickets

router = page_router()

PERIODS = (7, 30, 90, 365)
VEHICLES_SHOWN = 20
EVENTS_SHOWN = 30


@router.get("/confidence")
async def show_confidence(visit: CurrentVisit) -> Response:
    asked = visit.request.query_params.get("days", "")
    days = int(asked) if asked in map(str, PERIODS) else 30
    report = await confidence_report(days=days)
    return visit.page(
        "confidence.html",
        report=report,
        days=days,
        periods=PERIODS,
        levels=_levels(report),
        subsystems=[(render.word(group.subsystem_category), group) for group in report.by_subsystem],
        vehicles=[(f"{group.make} {group.model}", group) for group in report.by_vehicle[:VEHICLES_SHOWN]],
    )


def _levels(report: ConfidenceReport) -> list[Bar]:
    return [Bar(render.word(group.level), group.cards, group.level, f"{group.cards:,}") for group in report.by_level]


@router.get("/events")
async def list_events(visit: CurrentVisit) -> Response:
    asked = visit.request.query_params
    page = await log.list_events(_event_filter(visit), limit=EVENTS_SHOWN, after=asked.get("after"))
    dead = await log.list_events(EventFilter(status=EventStatus.dead), limit=20)
    return visit.page(
        "events.html",
        events=page.items,
        next=page.next,
        dead=dead.items,
        more_dead=dead.next is not None,
        kind=asked.get("kind", ""),
        state=asked.get("state", ""),
        kinds=list(EventType),
        states=list(EventStatus),
    )


def _event_filter(visit: Visit) -> EventFilter:
    asked = visit.request.query_params
    kind, state = asked.get("kind"), asked.get("state")
    return EventFilter(
        event_type=EventType(kind) if kind in list(EventType) else None,
        status=EventStatus(state) if state in list(EventStatus) else None,
    )


async def _load(event_id: Annotated[Id, Path()]) -> EfiEvent:
    return await log.get_event(event_id)


CurrentEvent = Annotated[EfiEvent, Depends(_load)]


@router.post("/events/{event_id}/replay")
async def replay(visit: CurrentVisit, event: CurrentEvent) -> Response:
    """Let a dead letter be tried again."""

    async def work() -> Response:
        await log.replay(event)
        return see_other("/events")

    return await submit(visit, work, lambda: list_events(visit))


@router.post("/events/{event_id}/discard")
async def discard(visit: CurrentVisit, event: CurrentEvent) -> Response:
    """Give a dead letter up; it stays in the log."""

    async def work() -> Response:
        await log.discard(event)
        return see_other("/events")

    return await submit(visit, work, lambda: list_events(visit))


@router.get("/settings")
async def show_settings(visit: CurrentVisit) -> Response:
    """What is set, secrets hidden, and how each part of the service does."""
    settings = visit.settings
    shown = [
        (f"EFI_{name.upper()}", _value(getattr(settings, name)), field.description or "")
        for name, field in type(settings).model_fields.items()
    ]
    conditions = await visit.request.app.state.service.conditions()
    return visit.page("settings.html", settings=shown, conditions=conditions)


def _value(value: object) -> str:
    if isinstance(value, SecretStr):
        return render.text("settings.secret" if value.get_secret_value() else "settings.unset")
    return str(value) if value != "" else render.text("settings.unset")


@router.get("/tickets.csv")
async def tickets_csv(visit: CurrentVisit) -> Response:
    header = ("ticket_id", "created_at", "status", "priority", "title", "make", "model", "year", "codes", "technician")
    rows = every(
        partial(tickets.list_tickets, ticket_filter(visit)),
        lambda one: (
            one.id,
            one.created_at.isoformat(),
            one.status,
            one.priority,
            one.title,
            one.vehicle_make,
            one.vehicle_model,
            one.vehicle_year,
            one.error_codes_reported,
            one.assigned_technician_name,
        ),
    )
    return download("tickets", header, rows)


@router.get("/events.csv")
async def events_csv(visit: CurrentVisit) -> Response:
    header = ("event_id", "created_at", "event_type", "subject_id", "status", "attempts", "actor", "error")
    rows = every(
        partial(log.list_events, _event_filter(visit)),
        lambda one: (
            one.id,
            one.created_at.isoformat(),
            one.event_type,
            one.subject_id,
            one.status,
            one.attempts,
            one.actor.id,
            one.error,
        ),
    )
    return download("events", header, rows)
