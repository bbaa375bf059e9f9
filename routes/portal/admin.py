"""Administration: what happened and what failed, and the settings in force."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path
from pydantic import SecretStr
from starlette.responses import Response

from app.ids import Id
from models.enums import EventStatus
from models.event import EfiEvent, EventType
from routes.portal import render
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.visit import Visit, see_other
from services.events import log
from services.events.log import EventFilter

router = page_router()

EVENTS_SHOWN = 30


@router.get("/events")
async def list_events(visit: CurrentVisit) -> Response:
    asked = visit.request.query_params
    page = await log.list_events(event_filter(visit), limit=EVENTS_SHOWN, after=asked.get("after"))
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


def event_filter(visit: Visit) -> EventFilter:
    """What the address asks for."""
    return EventFilter(event_type=visit.asked(EventType, "kind"), status=visit.asked(EventStatus, "state"))


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
    conditions = await visit.request.app.state.service.conditions()
    return visit.page("settings.html", settings=settings_in_force(visit), conditions=conditions)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting by the name of its environment variable, its value as it may be shown."""

    name: str
    value: str
    meaning: str


def settings_in_force(visit: Visit) -> list[Setting]:
    """Every setting, secrets hidden."""
    settings = visit.settings
    return [
        Setting(f"EFI_{name.upper()}", _value(getattr(settings, name)), field.description or "")
        for name, field in type(settings).model_fields.items()
    ]


def _value(value: object) -> str:
    if isinstance(value, SecretStr):
        return render.text("settings.secret" if value.get_secret_value() else "settings.unset")
    return _without_password(str(value)) if value != "" else render.text("settings.unset")


def _without_password(value: str) -> str:
    """Addresses may carry the account that they are reached with."""
    place, at, host = value.rpartition("@")
    scheme, separator, _ = place.partition("://")
    return f"{scheme}://…@{host}" if at and separator else value
