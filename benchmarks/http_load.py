"""A load client that costs little: raw keep-alive connections on one event loop, in a process of its own.

On a small machine the client competes with the service for the processors; this one needs about 60 µs a request.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """`seconds` that each request took, and the duration of the whole."""

    seconds: list[float]
    duration: float

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.duration


def post(url: str, path: str, bodies: Sequence[bytes], headers: dict[str, str], **how: float | None) -> Load:
    """Send every body once over `connections` (8), each of which asks again as soon as it has its answer.

    With `per_second` requests are due at fixed times and their time counts from then: no slow answer delays the clock.
    Raises RuntimeError for an answer other than 200.
    """
    lines = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Content-Type: application/json"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items())])
    requests = [f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_run, url, requests, **how).result()


def _run(url: str, requests: list[bytes], connections: int = 8, per_second: float | None = None) -> Load:
    return asyncio.run(_send(url, requests, connections, per_second))


async def _send(url: str, requests: list[bytes], connections: int, per_second: float | None) -> Load:
    address = urlsplit(url)
    started = time.perf_counter()
    due = iter([(request, started + i / per_second if per_second else None) for i, request in enumerate(requests)])
    asked = [_ask(address.hostname or "", address.port or 80, due) for _ in range(connections)]
    seconds = [took for one in await asyncio.gather(*asked) for took in one]
    return Load(seconds, time.perf_counter() - started)


async def _ask(host: str, port: int, due: Iterator[tuple[bytes, float | None]]) -> list[float]:
    reader, writer = await asyncio.open_connection(host, port)
    took = []
    for request, at in due:
        if at is not None and (early := at - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        began = at or time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r")[0]))
        took.append(time.perf_counter() - began)
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError((head + body[:500]).decode())
    writer.close()
    return took
