"""Your messages."""

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, Field

from app.ids import Id
from routes.api.deps import CurrentActor, PageQuery
from routes.api.http import api_router
from routes.api.problems import problems
from routes.api.schemas import Out, PageOut
from services.engagement import notifications

router = api_router("/inbox", tag="inbox")


class NotificationOut(Out):
    notification_id: str = Field(validation_alias="id")
    subject: str
    body: str
    link: str = Field(description="Path of the thing it is about.")
    read_at: datetime | None
    created_at: datetime


class MarkedOut(BaseModel):
    marked: int


@router.get("")
async def list_inbox(
    page: PageQuery,
    actor: CurrentActor,
    unread: Annotated[bool | None, Query(description="Only unread ones, or only those read.")] = None,
) -> PageOut[NotificationOut]:
    """Newest first."""
    found = await notifications.inbox(actor.id, unread=unread, **page.as_arguments())
    return PageOut[NotificationOut].of(found)


@router.post("/read-all")
async def mark_all_read(actor: CurrentActor) -> MarkedOut:
    return MarkedOut(marked=await notifications.mark_all_read(actor.id))


@router.post("/{notification_id}/read", responses=problems(404))
async def mark_read(notification_id: Annotated[Id, Path()], actor: CurrentActor) -> NotificationOut:
    return NotificationOut.model_validate(await notifications.mark_read(actor.id, notification_id))
