"""Photos of a ticket: taken in, shown, removed. Who may see the ticket may see its photos, but the workshop's own."""

import asyncio
import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from app.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from app.ids import is_id, new_id
from app.security import Role, current_actor
from models.enums import TicketStatus
from models.photo import Photo, PhotoThumbnail
from models.record import ActorRef
from models.ticket import Ticket
from services.paging import Page, page
from services.repairs import photo_files
from services.repairs.passages import hold
from services.repairs.pictures import Rendered, rendered
from services.repairs.tickets import TicketIsClosed
from services.repairs.visibility import load_visible, works_at

MEGAPIXEL = 1_000_000

_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pictures")
"""Few, because a picture takes hundreds of megabytes while it is decoded."""


@dataclass(slots=True)
class Limits:
    max_bytes: int = 10 * 1024 * 1024
    megapixels: int = 50
    side_px: int = 4096
    per_ticket: int = 50


limits = Limits()


class TooManyPhotos(Conflict):
    code, title = "too_many_photos", "The ticket has all the photos it may have"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that has been taken in and is not attached yet; `shape` is None where the ticket has it already."""

    photo_id: str
    sha256: str
    shape: Rendered | None = field(repr=False)


def configure(*, max_bytes: int, megapixels: int, side_px: int, per_ticket: int) -> None:
    limits.max_bytes, limits.megapixels = max_bytes, megapixels
    limits.side_px, limits.per_ticket = side_px, per_ticket


async def take_in(content: bytes, *, ticket: Ticket | None = None, workshop_only: bool = False) -> Picture:
    """Decode a picture and store it anew, without what it tells besides. Before the transaction that attaches it.

    With the ticket, a picture that it has already is not decoded again, nor one that it could not have: TicketIsClosed,
    TooManyPhotos. Names the field `file` in what else it raises: TooLarge, and NotAPicture with what can be done.
    """
    if len(content) > limits.max_bytes:
        rule = f"is larger than {limits.max_bytes / 2**20:.3g} MB"
        raise TooLarge(f"file: {rule}", errors=[{"field": "file", "rule": rule}], max_bytes=limits.max_bytes)
    sha256 = hashlib.sha256(content).hexdigest()
    if ticket is not None:
        if known := await _same(ticket.id, sha256, workshop_only):
            return Picture(known.id, sha256, None)
        await _require_room(ticket)
    render = partial(
        rendered,
        content,
        longest_side=limits.side_px,
        max_pixels=limits.megapixels * MEGAPIXEL,
        max_bytes=limits.max_bytes,
    )
    shape = await asyncio.get_running_loop().run_in_executor(_threads, render)
    photo_id = new_id("photo")
    await photo_files.put(photo_id, shape.content)
    return Picture(photo_id, sha256, shape)


async def attach(ticket: Ticket, picture: Picture, *, caption: str = "", workshop_only: bool = False) -> Photo:
    """Record the picture as a photo of the ticket; the one that is there already if it is the same file.

    Only within a transaction. A customer keeps nothing from themselves: for them `workshop_only` is Forbidden. Raises
    TicketIsClosed, TooManyPhotos, and Conflict if the picture is gone, so that it must be sent again.
    """
    if workshop_only and not works_at(current_actor(), ticket.site_id):
        raise Forbidden("Only the workshop keeps photos to itself.")
    await hold(ticket.id)  # one after the other, so that the limit holds
    if (known := await _same(ticket.id, picture.sha256, workshop_only)) is not None:
        return known
    await _require_room(ticket)
    shape = picture.shape
    if shape is None or not await photo_files.claim(picture.photo_id):
        raise Conflict("The picture was removed meanwhile: send it again.")
    photo = Photo(
        id=picture.photo_id,
        ticket_id=ticket.id,
        sha256=picture.sha256,
        media_type=shape.media_type,
        size_bytes=len(shape.content),
        width=shape.width,
        height=shape.height,
        caption=caption,
        workshop_only=workshop_only,
        uploaded_by=ActorRef.current(),
    )
    await photo.insert()
    await PhotoThumbnail(id=photo.id, content=shape.thumbnail).insert()
    return photo


async def list_photos(ticket: Ticket, *, limit: int = 50, after: str | None = None) -> Page[Photo]:
    """One page of the ticket's photos that the current actor may see, newest first."""
    own = works_at(current_actor(), ticket.site_id)
    also = None if own else {"workshop_only": False}
    return await page(Photo, {"ticket_id": ticket.id}, also=also, limit=limit, after=after)


async def get(photo_id: str) -> Photo:
    """The photo. Raises NotFound if there is none, or none that the current actor may see."""
    photo = await Photo.find_one({"_id": photo_id})
    if photo is None:
        raise NotFound.of("photo", photo_id)
    try:
        ticket = await load_visible(photo.ticket_id)
    except NotFound:
        raise NotFound.of("photo", photo_id) from None
    if photo.workshop_only and not works_at(current_actor(), ticket.site_id):
        raise NotFound.of("photo", photo_id)
    return photo


async def content_of(photo: Photo) -> bytes:
    """The picture itself. Raises NotFound if the photo has been removed meanwhile."""
    return await photo_files.read(photo.id)


async def thumbnail_of(photo: Photo) -> bytes:
    """The small picture, a JPEG. Raises NotFound if the photo has been removed meanwhile."""
    found = await PhotoThumbnail.find_one({"_id": photo.id})
    if found is None:
        raise NotFound.of("photo", photo.id)
    return found.content


async def remove(photo: Photo) -> None:
    """Remove the photo; its bytes follow. Only within a transaction. Raises Forbidden unless `may_remove`."""
    if not may_remove(photo):
        raise Forbidden("Only who sent a photo, or an admin, removes it.")
    removed = await Photo.get_pymongo_collection().delete_one({"_id": photo.id})
    if removed.deleted_count:
        await PhotoThumbnail.get_pymongo_collection().delete_one({"_id": photo.id})
        await photo_files.release(photo.id)


def may_remove(photo: Photo) -> bool:
    """Whether the current actor may: who sent it, or an admin."""
    actor = current_actor()
    return actor.id == photo.uploaded_by.id or actor.has(Role.admin)


def removable(shown: Iterable[Photo]) -> set[str]:
    """The ids of those that the current actor may remove."""
    return {photo.id for photo in shown if may_remove(photo)}


async def require_photos(ticket_id: str, named: list[str]) -> None:
    """Raise Invalid where `photos` names, by an id, a photo that the ticket does not have."""
    ids = [one for one in named if is_id(one, "photo")]
    if not ids:
        return
    there = {photo.id async for photo in Photo.find({"_id": {"$in": ids}}) if photo.ticket_id == ticket_id}
    for place, one in enumerate(named):
        if one in ids and one not in there:
            raise Invalid.field(f"photos.{place}", "names no photo of this ticket", one)


async def _require_room(ticket: Ticket) -> None:
    if ticket.status is TicketStatus.closed:
        raise TicketIsClosed(f"Ticket {ticket.id} is closed; reopen it first.")
    if await Photo.get_pymongo_collection().count_documents({"ticket_id": ticket.id}) >= limits.per_ticket:
        raise TooManyPhotos(f"A ticket may have {limits.per_ticket} photos.", limit=limits.per_ticket)


async def _same(ticket_id: str, sha256: str, workshop_only: bool) -> Photo | None:
    return await Photo.find_one({"ticket_id": ticket_id, "sha256": sha256, "workshop_only": workshop_only})
