"""The event log: what happened, who did it and why, and how far it has been worked through."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query
from pydantic import AwareDatetime, BaseModel, Field
from starlette.requests import Request
from starlette.responses import StreamingResponse

from app.ids import Id
from models.enums import EventStatus
from models.event import EfiEvent, EventType, HandlerResult
from models.record import ActorRef
from models.types import Strict
from routes.api.deps import PageQuery
from routes.api.http import ApiRoute, api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.events import log
from services.events.log import EventFilter
from services.events.processor import Processor

# Handlers commit one by one, and a failure must leave its trace: no transaction around a request.
router = api_router("/efi/events", tag="events", route_class=ApiRoute)

RETRY_MILLISECONDS = 1000


class EventOut(Out):
    event_id: str = Field(validation_alias="id")
    event_type: EventType
    subject_id: str = Field(description="The document it is about.")
    data: dict[str, Any] = Field(description="What the event says; its fields depend on `event_type`.")
    actor: ActorRef
    cause: str | None = Field(description="The event or request that led to it.")
    site_id: str | None
    organisation_id: str | None
    status: EventStatus
    attempts: int
    available_at: datetime = Field(description="When it is next due.")
    results: list[HandlerResult]
    error: str
    processed_at: datetime | None
    created_at: datetime


class ProcessRequest(Strict):
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class ProcessedOut(BaseModel):
    """What became of the events that were due."""

    processed: int
    failed: int = Field(description="They will be tried again.")
    dead: int = Field(description="They have become dead letters.")


async def _filter(
    event_type: Annotated[EventType | None, Query()] = None,
    status: Annotated[EventStatus | None, Query()] = None,
    subject_id: Annotated[Id | None, Query(description="The document it is about.")] = None,
    ticket_id: Annotated[Id | None, Query()] = None,
    actor_id: Annotated[str | None, Query(max_length=100, description="For instance usr_… or agent:learning.")] = None,
    cause: Annotated[str | None, Query(max_length=100, description="The event or request that led to it.")] = None,
    site_id: Annotated[Id | None, Query()] = None,
    since: Annotated[AwareDatetime | None, Query()] = None,
    until: Annotated[AwareDatetime | None, Query(description="Exclusive.")] = None,
) -> EventFilter:
    return EventFilter(event_type, status, subject_id, ticket_id, actor_id, cause, site_id, since, until)


async def _load(event_id: Annotated[Id, Path()]) -> EfiEvent:
    return await log.get_event(event_id)


async def _processor(request: Request) -> Processor:
    return request.app.state.service.processor


Wanted = Annotated[EventFilter, Depends(_filter)]
CurrentEvent = Annotated[EfiEvent, Depends(_load)]


@router.get("")
async def list_events(page: PageQuery, wanted: Wanted) -> PageOut[EventOut]:
    """Newest first."""
    return PageOut[EventOut].of(await log.list_events(wanted, **page.as_arguments()))


@router.get("/dead-letters")
async def list_dead_letters(page: PageQuery) -> PageOut[EventOut]:
    """Events whose handlers failed again and again, newest first: replay or discard them."""
    return PageOut[EventOut].of(await log.list_events(EventFilter(status=EventStatus.dead), **page.as_arguments()))


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses=problems(404)
    | {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Server-sent events."}},
)
async def stream_events(
    wanted: Wanted,
    seconds: Annotated[int, Query(ge=0, le=900, description="When to end; readers connect again by themselves.")] = 300,
    last_event_id: Annotated[
        Id | None, Header(alias="Last-Event-ID", description="The last event that was read; later ones follow.")
    ] = None,
) -> StreamingResponse:
    """Events as they happen, as server-sent events: `id` is the event's id, `event` its type, `data` as in the list.

    After a reconnection some events may come again: tell them by their id.
    """
    if last_event_id is not None:
        await log.get_event(last_event_id)
    lines = _lines(wanted, last_event_id, seconds)
    return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _lines(wanted: EventFilter, last_seen: str | None, seconds: float) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    async for event in log.follow(wanted, last_seen=last_seen, seconds=seconds):
        if event is None:
            yield ":\n\n"  # keeps proxies from closing the connection
        else:
            data = json.dumps(EventOut.model_validate(event).model_dump(mode="json"))
            yield f"id: {event.id}\nevent: {event.event_type}\ndata: {data}\n\n"


@router.post("/process")
async def process_events(
    processor: Annotated[Processor, Depends(_processor)], body: ProcessRequest | None = None
) -> ProcessedOut:
    """Work through events that are due now, instead of waiting for the background to do it."""
    tally = await processor.process_pending((body or ProcessRequest()).limit)
    return ProcessedOut(processed=tally.processed, failed=tally.failed, dead=tally.dead)


@router.get("/{event_id}", responses=problems(404))
async def get_event(event: CurrentEvent) -> EventOut:
    return EventOut.model_validate(event)


@router.post("/{event_id}/replay", responses=problems(404, 409))
async def replay_event(event: CurrentEvent) -> EventOut:
    """Let a dead letter be tried again. Handlers that have done their part do not do it again."""
    return EventOut.model_validate(await log.replay(event))


@router.post("/{event_id}/discard", responses=problems(404, 409))
async def discard_event(event: CurrentEvent) -> EventOut:
    """Give a dead letter up; it stays in the log."""
    return EventOut.model_validate(await log.discard(event))
