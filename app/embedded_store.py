"""The embedded store: a MongoDB-compatible server as a child process on a loopback port of its own.

Used when `EFI_MONGO_URL` is empty. Takes the first server that is there (`SERVERS`): a real `mongod` as a one-node
replica set, else SecantusDB's. Everything lives in the folder `store` of the data directory:

    mongod/ or secantus/   the server's files; which of the two exists decides which server opens it again
    secret                 the generated password of the user `efi` (0600); also mongod's key file
    url                    where the running store is reached, password included (0600)
    server.log             what the server printed
    service.lock           held by the service that uses the directory
    server.lock            held by the server for as long as its process exists
"""

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from app import store_guardian

log = structlog.get_logger(__name__)

# Executable -> folder of its files. SecantusDB's two servers read the same files.
SERVERS = {"mongod": "mongod", "secantusd-rs": "secantus", "secantusd-py": "secantus"}
USER = "efi"
ADVICE = "install one (`make run` installs SecantusDB, a mongod on PATH serves as well) or set EFI_MONGO_URL"
START_MINUTES = 60.0
POLL_SECONDS = 0.02
TELL_SECONDS = 5.0
WIREDTIGER_CONFIG = "checkpoint=(wait=60,log_size=64MB),verbose=[recovery_progress]\n"
"""SecantusDB's servers make a checkpoint when they close and never before: killed after hours of writing they would
replay the log of all those hours, 15 MB of it in a second. Their storage engine reads this file in its folder."""
NOT_YET_INITIALIZED = 94
USER_ALREADY_EXISTS = 51003
_UNITS = {"M": 1 << 20, "G": 1 << 30}
_RECOVERING = re.compile(r"Recovering log (\d+) through (\d+)")
_LOG_TAIL_BYTES = 64 * 1024


class EmbeddedStoreError(RuntimeError):
    """The embedded store cannot be started; the message says in one sentence what to do."""


class StoreInUse(EmbeddedStoreError):
    """Another process has opened this data directory."""


@dataclass(frozen=True)
class StoreHandle:
    """A running store. `url` carries the credentials; `pid` is the server's process."""

    url: str = field(repr=False)
    kind: str
    pid: int
    _guardian: subprocess.Popen[str] = field(repr=False)
    _service_lock: IO[str] = field(repr=False)

    async def stop(self) -> None:
        """Ends the server in good order and gives the data directory free. Calling it again does nothing."""
        if self._service_lock.closed:
            return
        Path(self._service_lock.name).with_name("url").unlink(missing_ok=True)
        await asyncio.to_thread(_release, self._guardian)
        self._service_lock.close()


async def start_embedded_store(
    data_dir: Path, *, cache_size: str = "256MB", startup_timeout_seconds: float = START_MINUTES * 60
) -> StoreHandle:
    """Starts the store under `data_dir` and returns when it accepts writes.

    `cache_size` is a number with a unit, such as 256MB or 2GB. The store ends with this process however that ends.
    After a kill the server replays its log first, which may take minutes: every few seconds a line says how far it is.
    Raises EmbeddedStoreError when no server is found or the start fails, and StoreInUse when another service uses the
    directory.
    """
    try:
        store = _Store(data_dir, cache_size)
        telling = asyncio.create_task(store.tell())
        try:
            async with asyncio.timeout(startup_timeout_seconds):
                return await store.start()
        except BaseException:
            store.service_lock.close()
            raise
        finally:
            telling.cancel()
    except TimeoutError:
        raise EmbeddedStoreError(
            f"The embedded store was not ready within {startup_timeout_seconds:g} s and was ended; no data are lost. "
            f"{_folder(data_dir) / 'server.log'} tells what it did; EFI_STORE_START_MINUTES gives it longer."
        ) from None
    except (PyMongoError, OSError) as error:
        raise EmbeddedStoreError(f"The embedded store cannot be started in {data_dir}: {error}") from error


async def url_of_running_store(data_dir: Path, *, patience_seconds: float = 30) -> str:
    """Where the store is reached that another process of this user has opened, or is about to open, under `data_dir`.

    Raises EmbeddedStoreError if none has, or not within `patience_seconds`.
    """
    folder = _folder(data_dir)
    try:
        async with asyncio.timeout(patience_seconds):
            while _in_use(folder):
                with contextlib.suppress(FileNotFoundError):
                    return (folder / "url").read_text(encoding="ascii")
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise EmbeddedStoreError(
            f"A service is still opening the store in {data_dir}: try again when it is ready."
        ) from None
    raise EmbeddedStoreError(f"No service has opened the store in {data_dir}.")


class _Store:
    """One start: what is on disk, and the command that serves it."""

    def __init__(self, data_dir: Path, cache_size: str) -> None:
        self.cache_bytes = _bytes(cache_size)
        self.folder = _folder(data_dir)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.kind, self.executable = _find_server(self.folder)
        self.files = self.folder / SERVERS[self.kind]
        self.secret = self.folder / "secret"
        self.log_file = self.folder / "server.log"
        self.log_start: int | None = None  # its length when the server was started
        self.service_lock = (self.folder / "service.lock").open("a")
        if not _locked(self.service_lock):
            self.service_lock.close()
            raise StoreInUse(
                f"Another service is using {data_dir}: stop it first, or set EFI_DATA_DIR to a directory of its own."
            )
        (self.folder / "url").unlink(missing_ok=True)  # of a service that was killed

    async def tell(self) -> None:
        """Says every few seconds what the start is waiting for, until it is cancelled."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(TELL_SECONDS)
            doing, details = self._doing()
            log.warning(doing, seconds=round(time.monotonic() - began), **details)

    def _doing(self) -> tuple[str, dict[str, int]]:
        if self.log_start is None:
            return "the store's former server is still closing", {}
        if recovering := _RECOVERING.findall(_tail(self.log_file, self.log_start)):
            current, last = map(int, recovering[-1])
            return "the store is replaying its log", {"files_left": last - current + 1}
        return "the store is starting", {}

    async def start(self) -> StoreHandle:
        self.files.mkdir(mode=0o700, exist_ok=True)
        if self.kind != "mongod":
            (self.files / "WiredTiger.config").write_text(WIREDTIGER_CONFIG, encoding="ascii")
        with (self.folder / "server.lock").open("a") as server_lock:
            # The server of a service that was killed may still be writing its last checkpoint.
            while not _locked(server_lock):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
            if not self.secret.exists():
                await self._create_user(server_lock)
            guardian, port, pid = await self._serve(server_lock, authenticated=True)
            try:
                url = self._url(port, self.secret.read_text(encoding="ascii"))
                async with _connected(url) as client:
                    await _become_primary(client, port)
                    # A transaction of a client that died with the last service would go on holding its locks.
                    await client.admin.command("killAllSessions", [])
                _write_secret(self.folder / "url", url)
            except BaseException:
                _release(guardian)
                raise
            return StoreHandle(url, self.kind, pid, guardian, self.service_lock)

    async def _create_user(self, server_lock: IO[str]) -> None:
        """Gives the store its user. A server that demands a password offers no way to set the first one, so this needs
        a run without, for a moment, on a loopback port that nobody was told. The secret is written last: an
        interrupted first start, or a lost secret, ends here again."""
        secret = secrets.token_hex(32)
        guardian, port, _ = await self._serve(server_lock, authenticated=False)
        try:
            async with _connected(self._url(port)) as client:
                await _become_primary(client, port)
                try:
                    await client.admin.command("createUser", USER, pwd=secret, roles=["root"])
                except OperationFailure as error:
                    if error.code != USER_ALREADY_EXISTS:
                        raise
                    await client.admin.command("updateUser", USER, pwd=secret)
        finally:
            await asyncio.to_thread(_release, guardian)
        _write_secret(self.secret, secret)

    async def _serve(self, server_lock: IO[str], *, authenticated: bool) -> tuple[subprocess.Popen[str], int, int]:
        """Starts the server under its guardian; returns guardian, port and the server's process id."""
        self.log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        command = self._mongod(authenticated) if self.kind == "mongod" else self._secantus(authenticated)
        guardian = subprocess.Popen(  # noqa: ASYNC220, S603
            [sys.executable, "-I", "-S", store_guardian.__file__, str(self.log_file), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("SECANTUS_")},
            pass_fds=[server_lock.fileno()],
            start_new_session=True,  # Ctrl-C is for the service, which ends the store when it is done with it
        )
        try:
            announcement = await asyncio.to_thread(guardian.stdout.readline)
        except BaseException:
            _release(guardian)
            raise
        if not announcement:
            _release(guardian)
            said = _last_line(self.log_file)
            raise EmbeddedStoreError(f"{self.kind} ended while it started: {said} (see {self.log_file}).")
        port, pid = map(int, announcement.split())
        return guardian, port, pid

    def _secantus(self, authenticated: bool) -> list[str]:
        # An empty configuration of our own, or it would pick one up from the home directory or /etc.
        config = self.folder / "secantusd.toml"
        config.touch()
        command = [self.executable, "--config", str(config), "--storage-path", str(self.files)]
        command += ["--host", "127.0.0.1", "--port", "0", "--cache-size", f"{self.cache_bytes >> 20}MB"]
        # Without it, a killed server forgets writes that it has acknowledged, whatever the write concern.
        command += ["--sync-on-commit"]
        if self.kind == "secantusd-rs":
            # The oplog, which nobody here reads, is not logged in its turn. Else each entry that is dropped costs a
            # sync, more than 1,000 in a second are never caught up with, and a stop waits for that.
            command += ["--log-file-max", "64MB", "--oplog-nonlogged"]
        return [*command, "--auth"] if authenticated else command

    def _mongod(self, authenticated: bool) -> list[str]:
        command = [self.executable, "--dbpath", str(self.files), "--replSet", "efi", "--oplogSize", "990", "--quiet"]
        command += ["--bind_ip", "127.0.0.1", "--port", "0", "--nounixsocket"]
        command += ["--wiredTigerCacheSizeGB", f"{max(self.cache_bytes / (1 << 30), 0.25):.2f}"]
        return [*command, "--keyFile", str(self.secret)] if authenticated else command

    def _url(self, port: int, secret: str = "") -> str:
        options = "directConnection=true" if self.kind == "mongod" else "directConnection=true&retryWrites=false"
        if not secret:
            return f"mongodb://127.0.0.1:{port}/?{options}"
        return f"mongodb://{USER}:{secret}@127.0.0.1:{port}/?authSource=admin&{options}"


def _folder(data_dir: Path) -> Path:
    return data_dir.resolve() / "store"


def _find_server(folder: Path) -> tuple[str, str]:
    """Name and path of the first server that is there and can open the files that `folder` holds already."""
    written_by = {files for files in SERVERS.values() if (folder / files).is_dir()}
    search_path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    for kind, files in SERVERS.items():
        if (not written_by or files in written_by) and (executable := shutil.which(kind, path=search_path)):
            return kind, executable
    wanted = [kind for kind, files in SERVERS.items() if not written_by or files in written_by]
    if written_by:
        raise EmbeddedStoreError(f"{folder} was written by {' or '.join(wanted)}, which is not installed: {ADVICE}.")
    raise EmbeddedStoreError(f"No database server was found (looked for {', '.join(wanted)}): {ADVICE}.")


def _bytes(size: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([MG])B?", size.strip(), re.IGNORECASE)
    if found is None or int(found[1]) == 0:
        raise EmbeddedStoreError(f"The store's cache size {size!r} is no number with a unit, such as 256MB or 2GB.")
    return int(found[1]) * _UNITS[found[2].upper()]


def _locked(file: IO[str]) -> bool:
    """Whether the lock on `file` is ours now. It lasts until every process that inherited `file` has closed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _in_use(folder: Path) -> bool:
    try:
        with (folder / "service.lock").open("r") as file:
            return not _locked(file)
    except FileNotFoundError:
        return False


def _write_secret(path: Path, text: str) -> None:
    """For this user's eyes only, and whole or not at all."""
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="ascii")
    draft.replace(path)


def _release(guardian: subprocess.Popen[str]) -> None:
    """Cuts the life line and waits: the guardian stops the server, by force if it must."""
    with contextlib.suppress(BrokenPipeError):
        guardian.stdin.close()
    guardian.wait()
    guardian.stdout.close()


def _last_line(log_file: Path) -> str:
    with contextlib.suppress(IndexError):
        return _tail(log_file, 0).strip().splitlines()[-1]
    return "it printed nothing"


def _tail(log_file: Path, start: int) -> str:
    """The last lines of the file, none from before `start` unless it was begun anew since, which made it shorter."""
    with contextlib.suppress(OSError), log_file.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(start if start <= length else 0, length - _LOG_TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace")
    return ""


@contextlib.asynccontextmanager
async def _connected(url: str) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url)
    try:
        yield client
    finally:
        await client.close()


async def _become_primary(client: AsyncMongoClient[dict[str, Any]], port: int) -> None:
    """Makes a mongod the primary of its one-node replica set. SecantusDB always says that it is one.

    A replica set knows its members by address, and the port is a new one at each start: the node wakes up as removed
    from its own set, and a forced reconfiguration takes it back.
    """
    if (await client.admin.command("hello"))["isWritablePrimary"]:
        return
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    try:
        config = (await client.admin.command("replSetGetConfig"))["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        await client.admin.command("replSetInitiate", {"_id": "efi", "members": [member]})
    else:
        config |= {"members": [member], "version": config["version"] + 1}
        await client.admin.command("replSetReconfig", config, force=True)
    while not (await client.admin.command("hello"))["isWritablePrimary"]:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
