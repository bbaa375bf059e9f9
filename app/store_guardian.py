"""Runs one database server and sees to it that the server never outlives the service.

A program of its own, started by `app/embedded_store.py` with the standard library alone:

    python store_guardian.py LOG_FILE SERVER [ARGUMENT ...]

Standard input is the life line: the service holds its other end, so however the service ends, the guardian reads
end-of-file and stops the server cleanly. Once the server listens, one line goes to standard output: `PORT PID`. The
guardian ends when the server has ended, with its exit status.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO, NoReturn

# SecantusDB writes a sentence, mongod a line of JSON.
LISTENING = re.compile(rb'listening on 127\.0\.0\.1:(\d+)|"Waiting for connections".*?"port":(\d+)')
# Closing writes what the cache holds: a second, more with a large cache on a slow disk. A server that is killed instead
# loses nothing, and replays what it logged since its last checkpoint when it starts again: some ten seconds' work.
STOP_GRACE_SECONDS = 30
LOG_FILE_BYTES = 4 * 1024 * 1024
PR_SET_PDEATHSIG = 1


def _die_with_guardian() -> None:
    """Runs in the forked server: Linux kills it should the guardian itself be killed, life line or not."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _rotated(log: BinaryIO, path: Path) -> BinaryIO:
    """`log`, or a fresh file in its place when it has grown too large; one older file is kept."""
    if log.tell() < LOG_FILE_BYTES:
        return log
    log.close()
    path.replace(path.with_suffix(".old.log"))
    return path.open("ab", buffering=0)


def _drain(server: subprocess.Popen[bytes], path: Path) -> NoReturn:
    """Copies the server's output to the log (a full pipe would stop the server) and announces the port."""
    announced = False
    log = path.open("ab", buffering=0)
    for line in server.stdout:
        log = _rotated(log, path)
        log.write(line)
        if not announced and (found := LISTENING.search(line)):
            announced = True
            port = (found[1] or found[2]).decode()
            with contextlib.suppress(BrokenPipeError):
                print(port, server.pid, flush=True)
    os._exit(server.wait() & 0xFF)  # nothing left to guard; the main thread still waits on the life line


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def main() -> None:
    log_file, *command = sys.argv[1:]
    # Single-threaded up to here, so that the function run between fork and exec is safe. Descriptors stay open: one of
    # them holds the lock on the data directory, which must last as long as the server.
    server = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=False,
        preexec_fn=_die_with_guardian,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        threading.Thread(target=_drain, args=(server, Path(log_file)), daemon=True).start()
        sys.stdin.buffer.read()
    finally:
        _stop(server)


if __name__ == "__main__":
    main()
