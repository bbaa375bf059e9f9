"""Photos on the page of a ticket: shown, added, taken away."""

from typing import Annotated

from fastapi import Depends, Path
from starlette.responses import Response

from app.errors import Invalid
from app.ids import Id
from models.photo import Photo
from models.types import Caption, Strict
from routes.api.photos import picture_response
from routes.portal import render
from routes.portal.forms import read
from routes.portal.http import CurrentVisit, page_router, submit
from routes.portal.tickets import CurrentTicket, ticket_page
from routes.portal.uploads import FIELD, Uploads
from routes.portal.visit import Visit, see_other
from services.repairs import photos
from services.repairs.visibility import load_visible, works_at

router = page_router()

LISTED = 30


async def _load(photo_id: Annotated[Id, Path()]) -> Photo:
    return await photos.get(photo_id)


CurrentPhoto = Annotated[Photo, Depends(_load)]


class Captioned(Strict):
    caption: Caption = ""


@router.get("/photos/{photo_id}")
async def show_photo(visit: CurrentVisit, photo: CurrentPhoto) -> Response:
    return await picture_response(photo, _known(visit), thumbnail=False)


@router.get("/photos/{photo_id}/thumbnail")
async def show_thumbnail(visit: CurrentVisit, photo: CurrentPhoto) -> Response:
    return await picture_response(photo, _known(visit), thumbnail=True)


def _known(visit: Visit) -> str:
    return visit.request.headers.get("if-none-match", "")


@router.get("/tickets/{ticket_id}/photos")
async def list_photos(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    """All of them, where the page of the ticket shows the newest."""
    page = await photos.list_photos(ticket, limit=LISTED, after=visit.request.query_params.get("after"))
    return visit.page(
        "photos.html", ticket=ticket, photos=page.items, removable=photos.removable(page.items), next=page.next
    )


@router.post("/tickets/{ticket_id}/photos")
async def add_photos(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    form = visit.form
    own = form.checked("workshop_only") and works_at(visit.actor, ticket.site_id)
    uploads = Uploads(visit, ticket, workshop_only=own)

    async def prepare() -> None:
        read(Captioned, {"caption": form.get("caption")})
        if not form.files.get(FIELD):
            raise Invalid.field(FIELD, render.text("form.required"))
        await uploads.take_in()

    async def work() -> Response:
        await uploads.attach(await load_visible(ticket.id), caption=form.get("caption"))
        return see_other(f"/tickets/{ticket.id}")

    async def again() -> Response:
        return await ticket_page(visit, await load_visible(ticket.id))

    return await submit(visit, work, again, prepare=prepare)


@router.post("/tickets/{ticket_id}/photos/remove")
async def remove_photos(visit: CurrentVisit, ticket: CurrentTicket) -> Response:
    """Take away those that are ticked."""

    async def work() -> Response:
        for photo_id in visit.form.all("photo"):
            photo = await photos.get(photo_id)
            if photo.ticket_id == ticket.id:
                await photos.remove(photo)
        return see_other(f"/tickets/{ticket.id}")

    return await submit(visit, work, lambda: ticket_page(visit, ticket))
