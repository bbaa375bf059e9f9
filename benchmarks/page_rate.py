"""Page views per second of one process: the technician's workbench among 1,000 open tickets, beside a bare page.

By wrk (Debian's package of that name) over keep-alive connections: as it is, as browsers ask for it (compressed), as a
browser that has it asks again, and while somebody changes a ticket twenty times a second. The peer is FastAPI that
renders a table of as many rows and columns with Jinja2, and signs nobody in and reads nothing.
"""

import argparse
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.report import Figures, Report
from benchmarks.service import EMAIL, PASSWORD, RunningService, running_service, sign_in
from services.repairs import board

WANTED_PER_SECOND = 500
PATH = "/tickets?view=open"
CHANGE_SECONDS = 0.05
WARM_UP_SECONDS = 1
PER_UNIT = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tickets", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=4)


def run(options: argparse.Namespace) -> Report:
    if shutil.which("wrk") is None:
        raise SystemExit("This benchmark needs wrk: apt-get install wrk")
    rows: dict[str, Figures] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder), EFI_PROCESS_EVENTS="false") as service,
        httpx.Client(base_url=service.url, headers=sign_in(service.url)) as client,
    ):
        tickets = _open_tickets(client, options.tickets)
        # Whatever changed so lately is read again with every look: the day's thousand tickets did not come just now.
        time.sleep(board.OVERLAP.total_seconds() + 1)
        cookie = {"Cookie": _signed_in(service.url)}
        compressed = cookie | {"Accept-Encoding": "gzip"}
        rows["EFI: workbench"] = _hammered(service, PATH, cookie, options)
        rows["compressed"] = _hammered(service, PATH, compressed, options)
        known = {"If-None-Match": httpx.get(service.url + PATH, headers=compressed).headers["etag"]}
        rows["asked for again"] = _hammered(service, PATH, compressed | known, options)
        with _changing(client, tickets[0]):
            rows["while tickets change"] = _hammered(service, PATH, compressed, options)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_service(Path(folder), command=("-m", "benchmarks.bare_page")) as bare,
    ):
        peer = rows["bare FastAPI + Jinja2"] = _hammered(bare, "/", {}, options)
    rate = rows["EFI: workbench"]["per second"] or 0
    return Report(
        f"Workbench with {options.tickets:,} open tickets, {options.connections} connections",
        rows,
        [f"Ratio to the bare page {rate / (peer['per second'] or 1):.2f}. Wanted: {WANTED_PER_SECOND} per second."],
        passed=rate >= WANTED_PER_SECOND,
    )


def _open_tickets(client: httpx.Client, count: int) -> list[str]:
    """Fill the list; returns the tickets' ids."""
    ids = []
    for number in range(count):
        body = {"title": f"Stops charging at 80 per cent ({number})", "error_codes_reported": ["P0A7E"]}
        ids.append(client.post("/api/tickets", json=body).raise_for_status().json()["ticket_id"])
    return ids


def _signed_in(url: str) -> str:
    """Sign in as a browser does; returns the cookie."""
    with httpx.Client(base_url=url) as browser:
        page = browser.get("/sign-in").text
        token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
        browser.post("/sign-in", data={"csrf_token": token, "email": EMAIL, "password": PASSWORD})
        return f"efi_session={browser.cookies['efi_session']}"


@contextmanager
def _changing(client: httpx.Client, ticket_id: str) -> Iterator[None]:
    """Meanwhile, a ticket that the list shows changes its priority again and again."""
    over = threading.Event()

    def change() -> None:
        path, priorities = f"/api/tickets/{ticket_id}", ("critical", "high")
        etag, turn = client.get(path).headers["etag"], 0
        while not over.wait(CHANGE_SECONDS):
            changed = client.patch(path, json={"priority": priorities[turn % 2]}, headers={"If-Match": etag})
            etag, turn = changed.raise_for_status().headers["etag"], turn + 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _hammered(service: RunningService, path: str, headers: dict[str, str], options: argparse.Namespace) -> Figures:
    """Views per second, how long they took, and the processor time of one in the service's process."""
    _wrk(service.url + path, headers, WARM_UP_SECONDS, options.connections)
    before = service.processor_seconds
    said = _wrk(service.url + path, headers, options.seconds, options.connections)
    spent = service.processor_seconds - before
    if failed := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", said):
        raise RuntimeError(f"{path}: {failed[0]}")
    [count] = re.findall(r"(\d+) requests in", said)
    [rate] = re.findall(r"Requests/sec:\s*([\d.]+)", said)
    times = {share: float(value) * PER_UNIT[unit] for share, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(\w+)", said)}
    return {
        "per second": float(rate),
        "n": int(count),
        "p50 ms": times["50"],
        "p99 ms": times["99"],
        "processor ms": spent * 1000 / int(count),
    }


def _wrk(url: str, headers: dict[str, str], seconds: int, connections: int) -> str:
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *given, url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
