"""What surrounds every request: its correlation id, the limit on its body, security headers, figures, and the last
answer when something unexpected goes wrong. Plain ASGI, so that context variables reach the handlers."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.embedded_store import EmbeddedStoreError
from app.errors import EfiError, TooLarge
from app.ids import new_id
from app.metrics import REQUEST_SECONDS, REQUESTS

log = structlog.get_logger(__name__)

Responder = Callable[[EfiError, Scope], ASGIApp]
"""Renders an error as an answer."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
}
"""Given to answers that do not set these themselves."""


class RequestContext:
    """Takes the request's X-Request-ID or makes one, binds it to the logs and sends it back; counts and times.

    What the application fails to handle is logged with it and answered as `internal_error`, without a word on why.
    """

    def __init__(self, app: ASGIApp, *, respond: Responder) -> None:
        self.app = app
        self.respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id("request")
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_headers)
            except Exception:
                log.exception("request failed", method=scope["method"], path=scope["path"])
                if status:
                    raise  # the answer is under way: only cutting the connection can tell that it is not whole
                await self.respond(EfiError("Something went wrong here."), scope)(scope, receive, send_with_headers)
            finally:
                seconds = time.perf_counter() - began
                self._count(scope, status, seconds)

    @staticmethod
    def _count(scope: Scope, status: int, seconds: float) -> None:
        # The template, never the path: a label for every id would grow without end.
        route = getattr(scope.get("route"), "path_format", "unknown")
        method = scope["method"] if route != "unknown" else "any"
        REQUESTS.labels(method, route, str(status)).inc()
        REQUEST_SECONDS.labels(method, route).observe(seconds)
        log.info(
            "request", method=scope["method"], path=scope["path"], status=status, milliseconds=round(seconds * 1000, 1)
        )


class BodyLimit:
    """Refuses bodies above `max_bytes`: at once if the length is announced, else as soon as it is exceeded.

    `larger` gives other limits: to requests whose method and path, as in "POST /photos", match a pattern as a whole.
    """

    LINGER_SECONDS = 2.0

    def __init__(
        self, app: ASGIApp, *, max_bytes: int, respond: Responder, larger: Sequence[tuple[re.Pattern[str], int]] = ()
    ) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.respond = respond
        self.larger = larger

    def _limit(self, scope: Scope) -> int:
        asked = f"{scope['method']} {scope['path']}"
        return next((limit for pattern, limit in self.larger if pattern.fullmatch(asked)), self.max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit(scope)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            await self._refuse(limit, scope, receive, send)
            return
        read = 0
        refused = False

        async def limited() -> Message:
            nonlocal read, refused
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                refused = True
                raise self._too_large(limit)
            return message

        await self.app(scope, limited, self._lingering(receive, send, lambda: refused))

    @staticmethod
    def _too_large(limit: int) -> TooLarge:
        error = TooLarge(f"A request body may have {limit:,} bytes.", max_bytes=limit)
        error.headers["Connection"] = "close"
        return error

    async def _refuse(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        lingering = self._lingering(receive, send, lambda: True)
        await self.respond(self._too_large(limit), scope)(scope, receive, lingering)

    def _lingering(self, receive: Receive, send: Send, wanted: Callable[[], bool]) -> Send:
        """A `send` that, if `wanted`, lets the client finish for a moment before the connection closes.

        Closing under a client that still sends resets the connection, and the answer may be lost before it is read.
        What arrives meanwhile is thrown away.
        """

        async def send_and_linger(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not (last and wanted()):
                await send(message)
                return
            await send({**message, "more_body": True})
            try:
                async with asyncio.timeout(self.LINGER_SECONDS):
                    await _drain(receive)
            except TimeoutError:
                pass
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        return send_and_linger


async def _drain(receive: Receive) -> None:
    while (await receive()).get("more_body", False):
        pass


class StartErrors:
    """Tells the server in one sentence why the service cannot start, where the reason is known.

    Wraps the whole application: the framework would hand over a traceback.
    """

    EXPECTED = (EmbeddedStoreError, EfiError)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        failure: Message | None = None

        async def hold_failures(message: Message) -> None:
            nonlocal failure
            if message["type"] == "lifespan.startup.failed":
                failure = message
            else:
                await send(message)

        try:
            await self.app(scope, receive, hold_failures)
        except self.EXPECTED as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        except asyncio.CancelledError:
            if failure is not None:
                await send({"type": "lifespan.startup.failed", "message": "The start was broken off."})
            raise
        except BaseException:
            if failure is not None:
                await send(failure)
            raise
