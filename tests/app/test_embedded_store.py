"""The launcher: which server it takes, whom it lets in, and that neither a kill nor a restart loses a write."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from structlog.testing import capture_logs

from app import embedded_store, store_guardian
from app.embedded_store import (
    EmbeddedStoreError,
    StoreHandle,
    StoreInUse,
    start_embedded_store,
    url_of_running_store,
)

ROOT = Path(__file__).parents[2]

# A service in small: writes one document after the other, prints each number once its write is acknowledged, and
# leaves a transaction open on the document `held`.
SERVICE = """
import asyncio, sys
from pathlib import Path
from pymongo import AsyncMongoClient
from app.embedded_store import start_embedded_store

async def main():
    store = await start_embedded_store(Path(sys.argv[1]))
    print("pid", store.pid, flush=True)
    async with AsyncMongoClient(store.url) as client:
        things = client.test.things
        await things.insert_one({"_id": "held"})
        async with client.start_session() as session, await session.start_transaction():
            await things.update_one({"_id": "held"}, {"$set": {"by": "service"}}, session=session)
            for number in range(1_000_000):
                await things.insert_one({"_id": number})
                print(number, flush=True)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def running(data_dir: Path, **options: Any):
    store = await start_embedded_store(data_dir, **options)
    try:
        async with AsyncMongoClient(store.url, serverSelectionTimeoutMS=2000) as client:
            yield store, client.test.things
    finally:
        await store.stop()


def alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, within_seconds: float = 30) -> bool:
    deadline = time.monotonic() + within_seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def guardian_of(store: StoreHandle) -> int:
    return int(Path(f"/proc/{store.pid}/stat").read_text().rpartition(")")[2].split()[1])


def run_service_and_kill_it(data_dir: Path, after_writes: int) -> tuple[int, int]:
    """Returns the process of its server and the last number whose write was acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(data_dir)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as service:
        server = int(service.stdout.readline().split()[1])
        for line in service.stdout:
            if int(line) >= after_writes:
                break
        service.kill()
        rest = service.stdout.read().split("\n")[:-1]  # a last line cut short has no end
    return server, max([after_writes, *map(int, rest)])


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    """Leaves the launcher only the named server."""

    def leave(kind: str) -> None:
        monkeypatch.setattr(embedded_store, "SERVERS", {kind: embedded_store.SERVERS[kind]})

    return leave


@pytest.fixture
def fake_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a shell script named mongod, or as another server, first on PATH."""

    def place(script: str, name: str = "mongod") -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return place


def find(kind: str) -> Path:
    """The server's executable; skips the test if there is none."""
    beside_python = Path(sys.executable).parent / kind
    if beside_python.exists():
        return beside_python
    if found := shutil.which(kind):
        return Path(found)
    pytest.skip(f"{kind} is not installed")


@pytest.mark.parametrize("kind", embedded_store.SERVERS)
@pytest.mark.timeout(300)
async def test_data_survive_a_restart_with_every_server(kind, only, tmp_path):
    find(kind)
    only(kind)

    async with running(tmp_path, startup_timeout_seconds=120) as (store, things):
        assert store.kind == kind
        await things.create_index("name", unique=True)
        await things.insert_one({"_id": 1, "name": "first"})
    assert gone(store.pid)

    async with running(tmp_path, startup_timeout_seconds=120) as (_, things):
        assert await things.find_one() == {"_id": 1, "name": "first"}
        with pytest.raises(OperationFailure):
            await things.insert_one({"name": "first"})


async def test_only_who_knows_the_secret_is_let_in(tmp_path):
    async with running(tmp_path) as (store, things):
        await things.insert_one({"_id": 1})
        address = store.url.partition("@")[2]
        async with AsyncMongoClient(f"mongodb://{address.partition('/')[0]}/?directConnection=true") as stranger:
            with pytest.raises(OperationFailure):
                await stranger.test.things.find_one()
        async with AsyncMongoClient(f"mongodb://efi:guess@{address}") as stranger:
            with pytest.raises(OperationFailure):
                await stranger.test.things.find_one()

    secret = tmp_path / "store" / "secret"
    assert address.startswith("127.0.0.1:")
    assert (secret.stat().st_mode & 0o777, secret.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert secret.read_text() not in repr(store)


async def test_a_lost_secret_is_replaced_and_the_data_stay(tmp_path):
    async with running(tmp_path) as (before, things):
        await things.insert_one({"_id": 1})
    (tmp_path / "store" / "secret").unlink()

    async with running(tmp_path) as (after, things):
        assert await things.count_documents({}) == 1
    assert before.url.partition("@")[0] != after.url.partition("@")[0]


async def test_one_directory_serves_one_service(tmp_path):
    async with running(tmp_path):
        started = time.monotonic()
        with pytest.raises(EmbeddedStoreError, match=r"Another service is using .* EFI_DATA_DIR"):
            await start_embedded_store(tmp_path)
        assert time.monotonic() - started < 10  # of the 30 that a start may take

    async with running(tmp_path) as (store, _):
        await store.stop()
        await store.stop()


async def test_killing_the_server_loses_no_acknowledged_write(tmp_path):
    acknowledged = []
    async with running(tmp_path) as (store, things):

        async def write(writer: int) -> None:
            with contextlib.suppress(PyMongoError):
                for number in range(1_000_000):
                    await things.insert_one({"_id": f"{writer}/{number}"})
                    acknowledged.append(f"{writer}/{number}")

        writers = [asyncio.create_task(write(writer)) for writer in range(4)]
        while len(acknowledged) < 100:
            await asyncio.sleep(0.02)
        os.kill(store.pid, signal.SIGKILL)
        await asyncio.gather(*writers)
        assert not alive(store.pid)

    async with running(tmp_path) as (_, things):
        found = {thing["_id"] async for thing in things.find()}
    assert set(acknowledged) <= found


async def test_killing_the_service_ends_the_server_and_loses_no_acknowledged_write(tmp_path):
    server, acknowledged = run_service_and_kill_it(tmp_path, after_writes=100)

    async with running(tmp_path) as (_, things):
        assert not alive(server)
        assert await things.count_documents({"_id": {"$lte": acknowledged}}) == acknowledged + 1
        async with asyncio.timeout(20):
            freed = await things.update_one({"_id": "held", "by": None}, {"$set": {"by": "successor"}})
        assert freed.matched_count == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
async def test_killing_the_guardian_ends_the_server(tmp_path):
    async with running(tmp_path) as (store, things):
        await things.insert_one({"_id": 1})
        os.kill(guardian_of(store), signal.SIGKILL)
        assert gone(store.pid)

    async with running(tmp_path) as (_, things):
        assert await things.count_documents({}) == 1


async def test_without_a_server_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(EmbeddedStoreError, match=r"No database server was found .*make run.*EFI_MONGO_URL"):
        await start_embedded_store(tmp_path)


async def test_files_are_opened_only_by_the_kind_of_server_that_wrote_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "store" / "mongod").mkdir(parents=True)

    with pytest.raises(EmbeddedStoreError, match=r"was written by mongod, which is not installed: "):
        await start_embedded_store(tmp_path)


async def test_a_mongod_on_the_path_comes_first_and_its_complaint_is_shown(tmp_path, fake_server):
    fake_server("echo 'wrong architecture'; exit 3")

    with pytest.raises(EmbeddedStoreError, match=r"mongod ended while it started: wrong architecture"):
        await start_embedded_store(tmp_path)


async def test_a_server_found_later_does_not_hide_the_data(tmp_path, only, fake_server):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(embedded_store, "SERVERS", {"secantusd-rs": "secantus"})
        async with running(tmp_path) as (_, things):
            await things.insert_one({"_id": 1})
    fake_server("exit 1")

    async with running(tmp_path) as (store, things):
        assert store.kind == "secantusd-rs"
        assert await things.count_documents({}) == 1


@pytest.mark.parametrize("kind", ["secantusd-rs", "secantusd-py"])
async def test_the_server_makes_checkpoints_while_it_runs(kind, only, tmp_path, monkeypatch):
    find(kind)
    only(kind)
    assert "wait=60" in embedded_store.WIREDTIGER_CONFIG
    monkeypatch.setattr(
        embedded_store, "WIREDTIGER_CONFIG", embedded_store.WIREDTIGER_CONFIG.replace("wait=60", "wait=1")
    )
    # Written anew by each checkpoint and by nothing else.
    turtle = tmp_path / "store" / "secantus" / "WiredTiger.turtle"

    async with running(tmp_path) as (_, things), asyncio.timeout(60):
        for number in range(3):
            before = turtle.stat().st_mtime_ns
            await things.insert_one({"_id": number})
            while turtle.stat().st_mtime_ns == before:
                await asyncio.sleep(0.1)


async def test_a_server_that_replays_its_log_is_waited_for(tmp_path, only, fake_server, monkeypatch):
    kind = "secantusd-rs"
    only(kind)
    server = find(kind)
    async with running(tmp_path) as (_, things):
        await things.insert_one({"_id": 1})
    monkeypatch.setattr(embedded_store, "TELL_SECONDS", 0.2)
    fake_server(f'sleep 1; echo "Recovering log 7 through 9"; sleep 1; exec {server} "$@"', kind)

    with capture_logs() as logs:
        async with running(tmp_path) as (_, things):
            assert await things.count_documents({}) == 1
            told = len(logs)
            await asyncio.sleep(0.5)
            assert len(logs) == told

    assert {"the store is starting", "the store is replaying its log"} <= {entry["event"] for entry in logs}
    assert 3 in {entry.get("files_left") for entry in logs}


async def test_a_server_that_never_listens_is_given_up(tmp_path, fake_server):
    fake_server(f"echo $$ > {tmp_path}/pid; exec sleep 60")

    with pytest.raises(EmbeddedStoreError, match=r"within 2 s and was ended; .*server.log.* EFI_STORE_START_MINUTES"):
        await start_embedded_store(tmp_path, startup_timeout_seconds=2)

    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("size", ["", "lots", "0MB", "256", "512KB", "-1GB"])
async def test_an_unreadable_cache_size_is_named(tmp_path, size):
    with pytest.raises(EmbeddedStoreError, match="cache size"):
        await start_embedded_store(tmp_path, cache_size=size)


async def test_a_data_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(EmbeddedStoreError, match=r"cannot be started in .*file"):
        await start_embedded_store(tmp_path / "file")


def test_the_servers_log_does_not_grow_without_end(tmp_path):
    log = tmp_path / "server.log"
    chatter = "for n in range(120_000): print('x' * 99)"

    with subprocess.Popen(
        [sys.executable, "-I", "-S", store_guardian.__file__, str(log), sys.executable, "-c", chatter],
        stdin=subprocess.PIPE,
    ) as guardian:
        assert guardian.wait() == 0

    assert log.stat().st_size <= store_guardian.LOG_FILE_BYTES + 100
    assert (tmp_path / "server.old.log").exists()


def test_the_guardian_passes_a_request_to_stop_on(tmp_path):
    store = asyncio.run(start_embedded_store(tmp_path))
    os.kill(guardian_of(store), signal.SIGTERM)

    assert gone(store.pid)
    asyncio.run(store.stop())
    with MongoClient(store.url, serverSelectionTimeoutMS=200) as client, pytest.raises(PyMongoError):
        client.admin.command("ping")


async def test_another_process_finds_the_running_store(tmp_path):
    with pytest.raises(EmbeddedStoreError, match="No service has opened"):
        await url_of_running_store(tmp_path)
    async with running(tmp_path) as (store, _):
        assert await url_of_running_store(tmp_path) == store.url
        assert (tmp_path / "store" / "url").stat().st_mode & 0o077 == 0
        with pytest.raises(StoreInUse):
            await start_embedded_store(tmp_path)
        (tmp_path / "store" / "url").unlink()
        with pytest.raises(EmbeddedStoreError, match="still opening the store"):
            await url_of_running_store(tmp_path, patience_seconds=0.1)
    with pytest.raises(EmbeddedStoreError, match="No service has opened"):
        await url_of_running_store(tmp_path)
    await store.stop()  # again, and harmless
