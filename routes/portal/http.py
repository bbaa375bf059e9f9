"""How a page runs: who comes, whether they may, whether the form is ours; and how errors become pages."""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from pymongo.errors import DuplicateKeyError
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.database import in_transaction
from app.errors import EfiError, Forbidden, NotFound, Unauthenticated
from app.security import acting_as, system
from app.settings import Settings
from routes.api.problems import request_id
from routes.capability import CapabilityRouter
from routes.portal import render
from routes.portal.forms import CSRF_FIELD, ONCE_FIELD, Form
from routes.portal.permissions import OPEN, PAGES
from routes.portal.visit import SESSION_COOKIE, VISITOR_COOKIE, Visit, see_other
from services import idempotency
from services.accounts import sessions
from services.engagement import notifications

MAX_FIELDS = 2000
MAX_FILES = 20
"""Fields in which nothing was chosen count."""

Handler = Callable[[Request], Awaitable[Response]]


class PageRoute(APIRoute):
    """A page that shows itself only to those whom the table of pages names, and runs as them."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        methods = options.get("methods") or ["GET"]
        self.permission = f"{next(iter(methods))} {path}"
        self.open = self.permission in OPEN
        self.allowed = PAGES.get(self.permission, frozenset())
        options |= {"include_in_schema": False, "response_model": None}
        super().__init__(path, endpoint, **options)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self.methods:
            await super().handle(scope, receive, send)  # answers 405
            return
        request = Request(scope, receive)
        visit = await visit_of(request)
        scope["state"]["visit"] = visit
        if not (self.open or visit.signed_in):
            response = await _ask_to_sign_in(visit)
            await response(scope, receive, send)
            return
        # The actor stays set until the answer is sent: a streamed one still reads while it is under way.
        with acting_as(visit.actor):
            await super().handle(scope, receive, send)

    def get_route_handler(self) -> Handler:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            visit: Visit = request.state.visit
            try:
                if not (self.open or visit.has(*self.allowed)):
                    raise Forbidden(render.text("error.not_for_you"))
                if request.method == "POST":
                    await _take_form(visit)
                return await answer(request)
            except EfiError as error:
                return error_page(visit, error)
            except RequestValidationError:
                return error_page(visit, NotFound(render.text("error.address")))

        return handler


def page_router() -> CapabilityRouter:
    return CapabilityRouter(route_class=PageRoute)


async def _current(request: Request) -> Visit:
    return request.state.visit


CurrentVisit = Annotated[Visit, Depends(_current)]
"""Who is here, and what they sent."""


async def visit_of(request: Request) -> Visit:
    """The visit of a signed-in person, or of somebody who is not (yet)."""
    cause = request_id(request)
    token = request.cookies.get(SESSION_COOKIE, "")
    if token:
        try:
            with acting_as(system("authentication", cause=cause)):
                actor, session_id = await sessions.resume(token)
                unread = await notifications.unread(actor.id)
            return Visit(request, actor.because_of(cause), token, session_id, unread)
        except Unauthenticated:
            pass  # the session has ended: whoever it was comes as a stranger
    visitor = request.cookies.get(VISITOR_COOKIE, "") or secrets.token_urlsafe(16)
    return Visit(request, system("public", cause=cause), visitor)


async def _ask_to_sign_in(visit: Visit) -> Response:
    """What a stranger is shown. What they sent, because their session ended meanwhile, is kept in the page."""
    request = visit.request
    if request.method == "GET":
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return see_other("/sign-in", {"next": target} if target != "/" else None)
    try:
        _require_own_origin(request)
        visit.form = await _form_of(request, with_files=False)
    except EfiError as error:
        return error_page(visit, error)
    return sign_in_page(visit, kept=visit.form.typed(), target=request.url.path, status=401)


def sign_in_page(visit: Visit, *, kept: list[tuple[str, str]], target: str, status: int = 200) -> Response:
    """The form to sign in; `kept` is what they were about to send to `target`."""
    response = visit.page("sign_in.html", status=status, kept=kept, target=target)
    visit.set_cookie(response, VISITOR_COOKIE, visit.secret)
    return response


async def _form_of(request: Request, *, with_files: bool = True) -> Form:
    async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as data:
        return await Form.of(data, with_files=with_files)


async def _take_form(visit: Visit) -> None:
    _require_own_origin(visit.request)
    visit.form = await _form_of(visit.request)
    visit.require_csrf_token(visit.form.get(CSRF_FIELD))


def _require_own_origin(request: Request) -> None:
    """Raise Forbidden for a form that another site sent. Browsers say so; the token is what proves it."""
    origin = request.headers.get("origin", "")
    foreign = bool(origin) and urlsplit(origin).netloc != request.headers.get("host", "")
    if foreign or request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Forbidden(render.text("error.csrf"))


def error_page(visit: Visit, error: EfiError) -> Response:
    """The error as a page, with what can be done about it."""
    response = visit.page("error.html", status=error.status, error=error, reference=request_id(visit.request))
    response.headers.update({name: value for name, value in error.headers.items() if name != "WWW-Authenticate"})
    return response


def asks_for_page(scope: Scope) -> bool:
    """Whether a request that no page took comes from somebody who looks at pages."""
    return not scope["path"].startswith(("/api/", "/docs")) and "text/html" in Headers(scope=scope).get("accept", "")


def plain_error_page(error: EfiError, scope: Scope) -> Response:
    """The error as a page, made without the store: it may be what is away."""
    request = Request(scope)
    return error_page(Visit(request, system("public", cause=request_id(request)), ""), error)


async def submit(
    visit: Visit,
    work: Callable[[], Awaitable[Response]],
    again: Callable[[], Awaitable[Response]],
    *,
    prepare: Callable[[], Awaitable[None]] | None = None,
) -> Response:
    """Do what a form asks for, in one transaction and once for its key; show the form `again` if it is refused.

    `work` raises EfiError or ValidationError to refuse; everything that it wrote is undone then. `prepare` may refuse
    too: it runs before the transaction, and does what takes longer than one should.
    """
    try:
        if prepare is not None:
            await prepare()
        return await _once(visit, work)
    except ValidationError as error:
        visit.form.refuse(error)
        status = 422
    except EfiError as error:
        if error.status in (401, 403, 404) or error.status >= 500:
            raise
        visit.form.refuse(error)
        status = error.status
    response = await again()
    response.status_code = status
    return response


async def _once(visit: Visit, work: Callable[[], Awaitable[Response]]) -> Response:
    key = visit.form.get(ONCE_FIELD)[:200]
    if not key:
        return await in_transaction(work)
    settings: Settings = visit.settings
    identifier = idempotency.key_id(visit.actor.id, "POST", visit.request.url.path, key)
    typed = repr(sorted(visit.form.typed())).encode()
    sent = [file.content for files in visit.form.files.values() for file in files]
    files = b"".join(hmac.digest(b"file", content, "sha256") for content in sent)
    print_ = idempotency.fingerprint(typed, files, secret=settings.signing_key)

    async def noted() -> Response:
        if known := await idempotency.stored_answer(identifier, print_):
            return Response(known.body, known.status, known.headers)
        response = await work()
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        body = bytes(response.body)
        await idempotency.store_answer(identifier, print_, status=response.status_code, headers=headers, body=body)
        return response

    try:
        return await in_transaction(noted)
    except (EfiError, DuplicateKeyError):
        # Sent twice at the same time: what the other one wrote is then what stood in the way.
        if known := await idempotency.stored_answer(identifier, print_):
            return Response(known.body, known.status, known.headers)
        raise
