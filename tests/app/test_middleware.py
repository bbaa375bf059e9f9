"""What surrounds a request, seen from the server's side of ASGI."""

import asyncio
import re

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from app.errors import EfiError
from app.middleware import BodyLimit, RequestContext


def scope(**headers: str) -> Scope:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": "/", "headers": raw, "query_string": b""}


def respond(error: EfiError, _: Scope) -> PlainTextResponse:
    return PlainTextResponse(error.code, error.status)


class Connection:
    """A client that sends `chunks`, and what it gets."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self.chunks:
            return {"type": "http.disconnect"}
        chunk = self.chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks)}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


async def swallow(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads everything and answers its length; refusals that reading raises are answered as the application does."""
    total = 0
    try:
        while True:
            message = await receive()
            total += len(message.get("body", b""))
            if not message.get("more_body", False):
                break
    except EfiError as error:
        await respond(error, scope)(scope, receive, send)
        return
    await PlainTextResponse(str(total))(scope, receive, send)


async def test_an_answer_that_breaks_off_is_not_passed_off_as_whole():
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("in the middle")

    connection = Connection()
    with capture_logs() as logs, pytest.raises(RuntimeError):
        await RequestContext(half, respond=respond)(scope(), connection.receive, connection.send)

    assert [message["type"] for message in connection.sent] == ["http.response.start"]
    assert logs[0]["event"] == "request failed"


async def test_an_error_before_the_answer_is_answered():
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("at once")

    connection = Connection()
    await RequestContext(broken, respond=respond)(scope(x_request_id="abc"), connection.receive, connection.send)

    assert (connection.status, connection.body) == (500, b"internal_error")
    assert (b"x-request-id", b"abc") in [(name.lower(), value) for name, value in connection.sent[0]["headers"]]


@pytest.mark.parametrize(
    ("chunks", "headers", "status"),
    [
        ([b"x" * 10], {}, 200),
        ([b"x" * 5, b"x" * 5], {}, 200),
        ([b"x" * 11], {}, 413),
        ([b"x" * 6, b"x" * 6, b"x" * 6], {}, 413),
        ([b"x" * 11], {"content_length": "11"}, 413),
        ([b"x" * 10], {"content_length": "10"}, 200),
        ([b"x" * 11], {"content_length": "5"}, 413),
        ([b"x"], {"content_length": "many"}, 200),
    ],
)
async def test_body_limit(chunks: list[bytes], headers: dict[str, str], status: int):
    connection = Connection(*chunks)

    limited = BodyLimit(swallow, max_bytes=10, respond=respond)
    await limited(scope(**headers), connection.receive, connection.send)

    assert connection.status == status
    assert connection.body == (b"too_large" if status == 413 else str(len(b"".join(chunks))).encode())
    assert connection.sent[-1].get("more_body", False) is False
    # What was refused has been read and thrown away, so that the client sees the answer.
    assert connection.chunks == []


async def test_some_requests_may_carry_more():
    larger = [(re.compile("POST /photos/[a-z]+"), 20)]
    limited = BodyLimit(swallow, max_bytes=10, respond=respond, larger=larger)
    for method, path, size, status in (
        ("POST", "/photos/a", 20, 200),
        ("POST", "/photos/a", 21, 413),
        ("PUT", "/photos/a", 11, 413),
        ("POST", "/photos/a/b", 11, 413),
    ):
        connection = Connection(b"x" * size)
        asked = scope(content_length=str(size)) | {"method": method, "path": path}
        await limited(asked, connection.receive, connection.send)
        assert connection.status == status, (method, path)


async def test_a_client_that_never_stops_sending_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(BodyLimit, "LINGER_SECONDS", 0.05)

    class Endless(Connection):
        async def receive(self) -> Message:
            await asyncio.sleep(0.001)
            return {"type": "http.request", "body": b"x", "more_body": True}

    connection = Endless()
    await BodyLimit(swallow, max_bytes=10, respond=respond)(scope(), connection.receive, connection.send)

    assert connection.status == 413
    assert connection.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
