"""Photos of tickets: what is on record of each, its thumbnail, and its bytes as a GridFS bucket holds them."""

from typing import Literal

from beanie import Document, PydanticObjectId
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from app.ids import new_id
from models.record import ActorRef, Record
from models.types import Caption, UtcDatetime

BUCKET = "photo_files"
"""Name of the GridFS bucket: its collections are `photo_files.files` and `photo_files.chunks`."""

PictureType = Literal["image/jpeg", "image/png"]


class Photo(Record):
    """A photo of a ticket. `id` names its file in the bucket too; who may see the ticket may see the photo."""

    id: str = Field(default_factory=lambda: new_id("photo"))
    ticket_id: str
    sha256: str = Field(description="Of the file that was sent: the ticket keeps the same file once.")
    media_type: PictureType
    size_bytes: int
    width: int
    height: int
    caption: Caption = ""
    workshop_only: bool = Field(default=False, description="Kept from the customer, as the workshop's own notes are.")
    uploaded_by: ActorRef

    class Settings(Record.Settings):
        name = "photos"
        indexes = [
            IndexModel([("ticket_id", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("ticket_id", ASCENDING), ("sha256", ASCENDING), ("workshop_only", ASCENDING)], unique=True),
        ]


class PhotoThumbnail(Record):
    """The small picture of the photo with the same id, a JPEG. Apart from it, so that lists need not read it."""

    content: bytes

    class Settings(Record.Settings):
        name = "photo_thumbnails"


class LoosePhotoFile(Record):
    """A file of the bucket that belongs to no photo, under the same id: not yet, or not any longer.

    Written before the file is, and taken away by the transaction that records the photo; so whatever is left over can
    be told without searching the bucket.
    """

    class Settings(Record.Settings):
        name = "loose_photo_files"
        indexes = [IndexModel([("created_at", ASCENDING)])]


class PhotoFile(Document):
    """A file of the bucket, in the fields of the GridFS specification."""

    id: str
    length: int
    chunk_size: int = Field(alias="chunkSize")
    upload_date: UtcDatetime = Field(alias="uploadDate")
    filename: str

    class Settings:
        name = f"{BUCKET}.files"


class PhotoChunk(Document):
    """A piece of a file, in the fields of the GridFS specification."""

    id: PydanticObjectId = Field(default_factory=PydanticObjectId)
    files_id: str
    n: int
    data: bytes

    class Settings:
        name = f"{BUCKET}.chunks"
        indexes = [IndexModel([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)]
