"""Messages of the service to the person who is here: read, opened, marked."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from app.ids import Id
from models.notification import Notification
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.visit import see_other
from services.engagement import notifications

router = page_router()

SHOWN = 30
PAGES = {
    "/api/tickets/": "/tickets/",
    "/api/efi/review-queue/": "/reviews/",
    "/api/efi/failure-cards/": "/cards/",
    "/api/efi/card-proposals/": "/health/proposals/",
}
"""Where what a message is about can be looked at, by the address that it has in the API."""


@router.get("/messages")
async def list_messages(visit: CurrentVisit) -> Response:
    asked = visit.request.query_params
    everything = asked.get("view") == "all"
    found = await notifications.inbox(
        visit.actor.id, unread=None if everything else True, limit=SHOWN, after=asked.get("after")
    )
    return visit.page("messages.html", everything=everything, messages=found.items, next=found.next, page_of=page_of)


def page_of(message: Notification) -> str:
    """The page of what the message is about; empty if there is none."""
    for address, page in PAGES.items():
        if message.link.startswith(address):
            return page + message.link.removeprefix(address)
    return ""


@router.post("/messages/read")
async def read_all(visit: CurrentVisit) -> Response:
    async def work() -> Response:
        await notifications.mark_all_read(visit.actor.id)
        return see_other("/messages")

    return await submit(visit, work, lambda: list_messages(visit))


@router.post("/messages/{notification_id}")
async def read_message(visit: CurrentVisit, notification_id: Annotated[Id, Path()]) -> Response:
    """Mark one as read, and lead to what it is about if it was opened."""

    async def work() -> Response:
        message = await notifications.mark_read(visit.actor.id, notification_id)
        return see_other((page_of(message) if visit.form.get("step") == "open" else "") or "/messages")

    return await submit(visit, work, lambda: list_messages(visit))
