"""Page views per second of one process: the technician's workbench among 1,000 open tickets, beside a bare page.

A few keep-alive connections in threads, by the standard library's client, which costs little. The peer is FastAPI
that renders a table of as many rows with Jinja2, and signs nobody in and reads nothing.
"""

import argparse
import http.client
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks.report import Report, milliseconds
from benchmarks.service import EMAIL, PASSWORD, running_service, sign_in

WANTED_PER_SECOND = 500


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tickets", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=4)


def run(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder), EFI_PROCESS_EVENTS="false") as service:
        cookie = _prepare(service.url, options.tickets)
        ours = _hammered(service.url, "/tickets?view=open", {"Cookie": cookie}, options)
    with running_service(Path(folder), command=("-m", "benchmarks.bare_page")) as bare:
        peer = _hammered(bare.url, "/", {}, options)
    rates = [len(times) / options.seconds for times in (ours, peer)]
    return Report(
        f"Workbench with {options.tickets:,} open tickets, {options.connections} connections",
        {
            "EFI: workbench": {"per second": rates[0], **milliseconds(ours)},
            "bare FastAPI + Jinja2": {"per second": rates[1], **milliseconds(peer)},
        },
        [f"Ratio {rates[0] / rates[1]:.2f}. Wanted: {WANTED_PER_SECOND} per second."],
        passed=rates[0] >= WANTED_PER_SECOND,
    )


def _prepare(url: str, count: int) -> str:
    """Fill the list, and sign in as a browser does; returns the cookie."""
    with httpx.Client(base_url=url, headers=sign_in(url)) as client:
        for number in range(count):
            body = {"title": f"Stops charging at 80 per cent ({number})", "error_codes_reported": ["P0A7E"]}
            client.post("/api/tickets", json=body).raise_for_status()
    with httpx.Client(base_url=url) as browser:
        page = browser.get("/sign-in").text
        token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
        data = {"csrf_token": token, "email": EMAIL, "password": PASSWORD}
        browser.post("/sign-in", data=data)
        return f"efi_session={browser.cookies['efi_session']}"


def _hammered(url: str, path: str, headers: dict[str, str], options: argparse.Namespace) -> list[float]:
    """Seconds that each answer took, over all connections."""
    with ThreadPoolExecutor(options.connections) as pool:
        work = [pool.submit(_ask, url, path, headers, options.seconds) for _ in range(options.connections)]
        return [took for one in work for took in one.result()]


def _ask(url: str, path: str, headers: dict[str, str], seconds: float) -> list[float]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    took: list[float] = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}")
        took.append(time.perf_counter() - started)
    connection.close()
    return took
