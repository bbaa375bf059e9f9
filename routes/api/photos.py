"""Photos of a ticket: sent, listed, shown, removed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.errors import Invalid, Malformed, UnsupportedMediaType
from app.ids import Id
from models.photo import Photo, PictureType
from models.record import ActorRef
from models.types import Caption, Strict
from routes.api.deps import PageQuery
from routes.api.http import Handler, ReadRequest, TransactionalRoute, api_router
from routes.api.problems import from_validation, problems
from routes.api.schemas import Out, PageOut
from routes.api.tickets import CurrentTicket
from services.repairs import photos
from services.repairs.photos import Picture
from services.repairs.visibility import load_visible

UPLOADS = [(r"POST /api/tickets/[^/]+/photos", 1)]
"""Requests that carry photos, and how many."""
KEPT_SECONDS = 3600
PIECE_BYTES = 128 * 1024


class PhotoFields(Strict):
    """What goes with the file."""

    caption: Caption = ""
    workshop_only: bool = Field(default=False, description="Keep it from the customer; not for customers to set.")


class PhotoOut(Out):
    photo_id: str = Field(validation_alias="id")
    ticket_id: str
    media_type: PictureType
    size_bytes: int = Field(description="Of the picture as it is kept.")
    width: int = Field(description="In pixels, as it is kept.")
    height: int
    sha256: str = Field(description="Of the file that was sent.")
    caption: str
    workshop_only: bool
    uploaded_by: ActorRef
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture that was sent and taken in, with what goes with it."""

    picture: Picture
    fields: PhotoFields


class PhotoRoute(TransactionalRoute):
    """A route whose POST takes a picture in before its transaction, because decoding takes longer than one should."""

    async def run(self, request: ReadRequest, answer: Handler) -> Response:
        if request.method == "POST":
            ticket = await load_visible(request.path_params["ticket_id"])
            file, fields = await _sent(request)
            picture = await photos.take_in(file, ticket=ticket, workshop_only=fields.workshop_only)
            request.state.sent = Sent(picture, fields)
            # A client that repeats a request draws a new boundary between its parts: only what it sent counts.
            request.raw = hashlib.sha256(file).digest() + fields.model_dump_json().encode()
        return await super().run(request, answer)


async def _sent(request: ReadRequest) -> tuple[bytes, PhotoFields]:
    """The file and the fields of a form. Raises UnsupportedMediaType, Malformed and Invalid."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise UnsupportedMediaType("Send a form (Content-Type: multipart/form-data) with the picture as `file`.")
    form = await _parsed(request)
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Invalid.field("file", "is needed: the picture, as a file")
        content = await file.read()
        fields = PhotoFields.model_validate({name: value for name, value in form.items() if name != "file"})
    except ValidationError as error:
        raise from_validation(
            RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()])
        ) from None
    finally:
        await form.close()
    return content, fields


async def _parsed(request: ReadRequest) -> FormData:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(request.raw), PIECE_BYTES):
            yield request.raw[start : start + PIECE_BYTES]
            await asyncio.sleep(0)  # parsing is plain Python: others go on between the pieces

    try:
        return await MultiPartParser(request.headers, chunks(), max_files=1, max_fields=10).parse()
    except MultiPartException as error:
        raise Malformed(f"The form cannot be read: {error.message}") from None


router = api_router("", tag="photos", route_class=PhotoRoute)


async def _taken_in(request: Request) -> Sent:
    return request.state.sent


async def _load(photo_id: Annotated[Id, Path()]) -> Photo:
    return await photos.get(photo_id)


CurrentPhoto = Annotated[Photo, Depends(_load)]
"""The photo of the path, if the caller may see it; else 404."""

IfNoneMatch = Annotated[str, Header(alias="If-None-Match", max_length=500, description="The ETag that the caller has.")]

_FORM = PhotoFields.model_json_schema()
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "title": "NewPhoto",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "JPEG, PNG or WebP."},
                        **_FORM["properties"],
                    },
                    "additionalProperties": False,
                },
                "encoding": {"file": {"contentType": "image/jpeg, image/png, image/webp"}},
            }
        },
    }
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _pictures(*media_types: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"description": "The picture.", "content": dict.fromkeys(media_types, _BINARY)},
        304: {"description": "The caller has it already (If-None-Match)."},
        **problems(404),
    }


@router.post("/tickets/{ticket_id}/photos", status_code=201, openapi_extra=_UPLOAD, responses=problems(404, 409))
async def add_photo(ticket: CurrentTicket, sent: Annotated[Sent, Depends(_taken_in)]) -> PhotoOut:
    """Add a photo to a ticket: 10 MB at most unless set otherwise. It is kept upright, and without what the camera
    wrote into it (place, time, serial number).

    What a file is, its content decides and not its name. The same file sent again is the same photo.
    """
    fields = sent.fields
    photo = await photos.attach(ticket, sent.picture, caption=fields.caption, workshop_only=fields.workshop_only)
    return PhotoOut.model_validate(photo)


@router.get("/tickets/{ticket_id}/photos", responses=problems(404))
async def list_photos(ticket: CurrentTicket, page: PageQuery) -> PageOut[PhotoOut]:
    """The ticket's photos, newest first. A customer does not see those that the workshop keeps to itself."""
    return PageOut[PhotoOut].of(await photos.list_photos(ticket, **page.as_arguments()))


@router.get("/photos/{photo_id}", response_class=Response, responses=_pictures("image/jpeg", "image/png"))
async def get_photo(photo: CurrentPhoto, if_none_match: IfNoneMatch = "") -> Response:
    """The picture itself."""
    return await picture_response(photo, if_none_match, thumbnail=False)


@router.get("/photos/{photo_id}/thumbnail", response_class=Response, responses=_pictures("image/jpeg"))
async def get_photo_thumbnail(photo: CurrentPhoto, if_none_match: IfNoneMatch = "") -> Response:
    """The picture in small, 320 pixels at most on either side."""
    return await picture_response(photo, if_none_match, thumbnail=True)


@router.delete("/photos/{photo_id}", status_code=204, responses=problems(404))
async def remove_photo(photo: CurrentPhoto) -> None:
    """Remove a photo: for who sent it, and for admins."""
    await photos.remove(photo)


async def picture_response(photo: Photo, if_none_match: str, *, thumbnail: bool) -> Response:
    """The picture, or 304 if the caller has it: a photo never changes, so its id is its edition."""
    etag = f'"{photo.id}{"-small" if thumbnail else ""}"'
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={KEPT_SECONDS}",
        "Vary": "Authorization, Cookie",
        "X-Content-Type-Options": "nosniff",
    }
    if etag in if_none_match:
        return Response(status_code=304, headers=headers)
    media_type = "image/jpeg" if thumbnail else photo.media_type
    content = await (photos.thumbnail_of(photo) if thumbnail else photos.content_of(photo))
    extension = media_type.removeprefix("image/").replace("jpeg", "jpg")
    headers["Content-Disposition"] = f'inline; filename="{photo.id}.{extension}"'
    return Response(content, headers=headers, media_type=media_type)
