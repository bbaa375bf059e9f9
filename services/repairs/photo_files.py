"""The bytes of photos, in a GridFS bucket. Never within a transaction: GridFS knows none.

A file is announced as loose before it is written, and stays so until a photo owns it. `sweep` removes what is left.
"""

import contextlib
from datetime import timedelta

import structlog
from gridfs import NoFile
from gridfs.asynchronous import AsyncGridFSBucket

from app import clock
from app.database import in_a_transaction
from app.errors import NotFound
from models.photo import BUCKET, LoosePhotoFile, PhotoChunk, PhotoFile

log = structlog.get_logger(__name__)

CHUNK_BYTES = 255 * 1024
"""The specification's default."""
LOOSE_FOR = timedelta(hours=1)
"""Longer than any request takes between writing a file and recording its photo, or between finding and reading it."""
SWEPT_AT_ONCE = 200


async def put(file_id: str, content: bytes) -> None:
    """Write a file, which is loose until `claim`.

    The chunks are written here and not by the driver: before every file it asks whether the bucket is empty, by a
    query that matches all chunks, and the embedded store reads what matches (0.5 ms for each chunk that is there).
    """
    if in_a_transaction():
        raise RuntimeError("files are written before the transaction that records them")
    await LoosePhotoFile(id=file_id).insert()
    chunks = [
        PhotoChunk(files_id=file_id, n=n, data=content[start : start + CHUNK_BYTES])
        for n, start in enumerate(range(0, len(content), CHUNK_BYTES))
    ]
    await PhotoChunk.insert_many(chunks)
    await PhotoFile(
        id=file_id, length=len(content), chunkSize=CHUNK_BYTES, uploadDate=clock.now(), filename=file_id
    ).insert()


async def read(file_id: str) -> bytes:
    """The whole file. Raises NotFound if it is not there, or not whole."""
    try:
        file = await _bucket().open_download_stream(file_id)
        return await file.read()
    except NoFile:
        raise NotFound.of("file", file_id) from None


async def claim(file_id: str) -> bool:
    """Say, in the transaction that records the photo, that the file belongs to it. False if it has been swept."""
    claimed = await LoosePhotoFile.get_pymongo_collection().delete_one({"_id": file_id})
    return bool(claimed.deleted_count)


async def release(file_id: str) -> None:
    """Say, in the transaction that removes the photo, that the file belongs to nothing any more."""
    await LoosePhotoFile(id=file_id).insert()


async def sweep(loose_for: timedelta = LOOSE_FOR) -> int:
    """Remove files that have belonged to no photo for so long; returns how many. Repeating it does no harm."""
    before = {"created_at": {"$lt": clock.now() - loose_for}}
    loose = await LoosePhotoFile.find(before).limit(SWEPT_AT_ONCE).to_list()
    for one in loose:
        with contextlib.suppress(NoFile):  # announced and never finished; its chunks, if any, are gone as well
            await _bucket().delete(one.id)
        await LoosePhotoFile.get_pymongo_collection().delete_one({"_id": one.id})
    if loose:
        log.info("removed files of no photo", files=len(loose))
    return len(loose)


def _bucket() -> AsyncGridFSBucket:
    return AsyncGridFSBucket(PhotoFile.get_pymongo_collection().database, BUCKET)
