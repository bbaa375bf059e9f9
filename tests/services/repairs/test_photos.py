"""Photos and their files: together or not at all, guarded, and nothing left over."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from gridfs.asynchronous import AsyncGridFSBucket

from app.database import (
    Access,
    DeclaredRights,
    GuardedDatabase,
    connect,
    disconnect,
    guard,
    in_transaction,
    transaction,
)
from app.errors import Conflict, Forbidden, NotFound
from app.ids import new_id
from app.security import acting_as, agent, system
from models import ALL_DOCUMENTS
from models.photo import BUCKET, Photo
from models.ticket import Ticket
from services.repairs import photo_files, photos
from services.repairs.photos import Picture, TooManyPhotos
from tests import pictures as samples
from tests.query_plans import watched

NewTicket = Callable[..., Awaitable[Ticket]]
AT_ONCE = timedelta(hours=-1)


async def attached(ticket: Ticket, picture: Picture) -> Photo:
    return await in_transaction(lambda: photos.attach(ticket, picture))


async def left(store: GuardedDatabase) -> dict[str, int]:
    """How many documents stand in the bucket and on the list of loose files."""
    names = (f"{BUCKET}.files", f"{BUCKET}.chunks", "loose_photo_files")
    with acting_as(system("test")):
        return {name: await store[name].count_documents({}) for name in names}


async def test_a_file_stays_loose_until_its_photo_is_on_record(
    store: GuardedDatabase, house: SimpleNamespace, new_ticket: NewTicket
):
    ticket = await new_ticket()
    with acting_as(house.technician):
        picture = await photos.take_in(samples.jpeg())
        with pytest.raises(RuntimeError, match="undone"):
            async with transaction():
                await photos.attach(ticket, picture)
                raise RuntimeError("undone")
        assert (await left(store))["loose_photo_files"] == 1
        photo = await attached(ticket, picture)
        assert (await left(store))["loose_photo_files"] == 0
        assert await photo_files.sweep(AT_ONCE) == 0
        assert (await photos.content_of(photo)).startswith(b"\xff\xd8\xff")


async def test_what_was_never_attached_goes_after_an_hour(
    store: GuardedDatabase, house: SimpleNamespace, new_ticket: NewTicket
):
    ticket = await new_ticket()
    with acting_as(house.technician):
        picture = await photos.take_in(samples.png(samples.noise(400, 300)))
        assert await photo_files.sweep() == 0
        assert (await left(store))[f"{BUCKET}.chunks"] == 2
        assert await photo_files.sweep(AT_ONCE) == 1
        assert set((await left(store)).values()) == {0}
        with pytest.raises(Conflict, match="send it again"):
            await attached(ticket, picture)
        assert (await photos.list_photos(ticket)).items == []


async def test_a_writer_that_died_leaves_nothing(store: GuardedDatabase):
    """Announced, some chunks written, then killed."""
    with acting_as(system("test")):
        file_id = new_id("photo")
        await photo_files.release(file_id)
        await store[f"{BUCKET}.chunks"].insert_one({"files_id": file_id, "n": 0, "data": b"begun"})
        with pytest.raises(NotFound):
            await photo_files.read(file_id)
        await photo_files.sweep(AT_ONCE)
    assert set((await left(store)).values()) == {0}


@pytest.mark.parametrize("size", [1, photo_files.CHUNK_BYTES, photo_files.CHUNK_BYTES + 1, 1_000_000])
async def test_files_are_what_the_driver_reads(store: GuardedDatabase, size: int):
    content = bytes(range(256)) * (size // 256 + 1)
    with acting_as(system("test")):
        file_id = new_id("photo")
        await photo_files.put(file_id, content[:size])
        stream = await AsyncGridFSBucket(store, BUCKET).open_download_stream(file_id)
        assert (stream.length, stream.filename, await stream.read()) == (size, file_id, content[:size])
        assert await photo_files.read(file_id) == content[:size]


async def test_files_are_never_written_within_a_transaction(store: GuardedDatabase):
    with acting_as(system("test")), pytest.raises(RuntimeError, match="before the transaction"):
        async with transaction():
            await photo_files.put(new_id("photo"), b"x")
    assert set((await left(store)).values()) == {0}


async def test_agents_reach_files_only_by_a_grant(store: GuardedDatabase, monkeypatch: pytest.MonkeyPatch):
    with acting_as(system("test")):
        file_id = new_id("photo")
        await photo_files.put(file_id, b"x")
    bucket = AsyncGridFSBucket(store, BUCKET)
    with acting_as(agent("curious")):
        for reach in (photo_files.read(file_id), bucket.upload_from_stream("f", b"y"), bucket.delete(file_id)):
            with pytest.raises(Forbidden, match=f"{BUCKET}.(files|chunks)"):
                await reach
    read = {f"{BUCKET}.{part}": frozenset({Access.read}) for part in ("files", "chunks")}
    monkeypatch.setattr(guard, "policy", DeclaredRights({"agent:curious": read}))
    with acting_as(agent("curious")):
        assert await photo_files.read(file_id) == b"x"
        with pytest.raises(Forbidden):
            await bucket.delete(file_id)


async def test_many_at_once_keep_to_the_limit(
    house: SimpleNamespace, new_ticket: NewTicket, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(photos.limits, "per_ticket", 3)
    ticket = await new_ticket()
    with acting_as(house.technician):
        pictures = [await photos.take_in(samples.jpeg(samples.noise(8, 8, n))) for n in range(6)]
        outcomes = await asyncio.gather(*[attached(ticket, one) for one in pictures], return_exceptions=True)
        assert sum(isinstance(one, Photo) for one in outcomes) == 3
        assert sum(isinstance(one, TooManyPhotos) for one in outcomes) == 3
        assert len((await photos.list_photos(ticket)).items) == 3


async def test_one_file_sent_twice_at_the_same_time_is_one_photo(house: SimpleNamespace, new_ticket: NewTicket):
    ticket = await new_ticket()
    with acting_as(house.technician):
        twins = [await photos.take_in(samples.jpeg(), ticket=ticket) for _ in range(2)]
        first, second = await asyncio.gather(*[attached(ticket, one) for one in twins])
        assert first.id == second.id
        assert (await photos.take_in(samples.jpeg(), ticket=ticket)).shape is None


async def test_no_query_reads_a_whole_collection(database_url: str, database_name: str):
    with watched() as queries:
        database = await connect(database_url, database_name, ALL_DOCUMENTS)
        with acting_as(system("test")):
            ticket = await Ticket(title="Does not charge").insert()
            photo = await attached(ticket, await photos.take_in(samples.jpeg(), ticket=ticket))
            await photos.list_photos(ticket)
            await photos.content_of(await photos.get(photo.id))
            await photos.thumbnail_of(photo)
            await photos.require_photos(ticket.id, [photo.id])
            await in_transaction(lambda: photos.remove(photo))
            await photo_files.sweep(AT_ONCE)
            queries.watching = False
            scans: Any = await queries.scans(database)
        await disconnect()
    assert scans == set()
