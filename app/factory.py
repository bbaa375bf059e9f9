"""The application: middleware, routes, and how errors are shown."""

import re
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from app.errors import Duplicate, EfiError, Malformed, NotFound, Unavailable
from app.lifespan import lifespan
from app.middleware import BodyLimit, RequestContext
from app.openapi import TITLE, describe
from app.settings import Settings
from routes.api import ROUTERS, photos
from routes.api.problems import from_validation, render, request_id
from routes.api_docs import add_docs
from routes.portal import add_portal, uploads
from routes.portal.http import asks_for_page, plain_error_page

log = structlog.get_logger(__name__)


class MethodNotAllowed(EfiError):
    status, code, title = 405, "method_not_allowed", "This path does not know this method"


def create_app(settings: Settings) -> FastAPI:
    """The service, ready to be served. It opens the store when it starts and closes it when it stops."""
    app = FastAPI(
        title=TITLE,
        version=version("efi"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        middleware=[
            Middleware(RequestContext, respond=_respond),
            Middleware(BodyLimit, max_bytes=settings.max_body_bytes, respond=_respond, larger=_larger_bodies(settings)),
        ],
        exception_handlers={
            EfiError: _efi_error,
            RequestValidationError: _validation_error,
            HTTPException: _http_exception,
            DuplicateKeyError: _duplicate_key,
            PyMongoError: _store_error,
        },
    )
    app.state.settings = settings
    for router in ROUTERS:
        app.include_router(router)
    add_docs(app)
    add_portal(app)
    app.openapi = lambda: describe(app)
    return app


def _larger_bodies(settings: Settings) -> list[tuple[re.Pattern[str], int]]:
    """What requests that carry photos may hold: as many as they may carry, and what goes with them."""
    return [
        (re.compile(pattern), settings.max_body_bytes + count * settings.max_photo_bytes)
        for pattern, count in (*photos.UPLOADS, *uploads.UPLOADS)
    ]


def _operation_id(route: APIRoute) -> str:
    return route.name


def _respond(error: EfiError, scope: Scope) -> ASGIApp:
    if asks_for_page(scope):
        return plain_error_page(error, scope)
    return render(error, scope.get("state", {}).get("request_id", ""))


def _answer(error: EfiError, request: Request) -> Response:
    """A page where the portal was asked, else a problem document."""
    if asks_for_page(request.scope):
        return plain_error_page(error, request.scope)
    return render(error, request_id(request))


async def _efi_error(request: Request, error: EfiError) -> Response:
    if error.status >= 500:
        log.error("request refused", code=error.code, detail=error.detail, exc_info=error)
    return _answer(error, request)


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    return _answer(from_validation(error), request)


async def _http_exception(request: Request, error: HTTPException) -> Response:
    """What the framework refuses by itself: unknown paths, wrong methods, unreadable requests."""
    shown: EfiError
    if error.status_code == 404:
        shown = NotFound(f"There is nothing at {request.url.path[:200]}.")
    elif error.status_code == 405:
        allowed = _methods(request)
        shown = MethodNotAllowed(f"{request.method} is not known here; try {', '.join(allowed)}.", allowed=allowed)
        shown.headers["Allow"] = ", ".join(allowed)
    else:
        shown = Malformed(error.detail)
        shown.status = error.status_code
    shown.headers = {**(error.headers or {}), **shown.headers}
    return _answer(shown, request)


def _methods(request: Request) -> list[str]:
    """The methods that this path knows, over all routes: the framework names those of the first only."""
    path = request.url.path
    routes = iter_route_contexts(request.app.routes)
    return sorted({method for route in routes if _covers(route, path) for method in route.methods or ()})


def _covers(route: RouteContext, path: str) -> bool:
    pattern = getattr(route.original_route, "path_regex", None)
    return pattern is not None and pattern.match(path) is not None


async def _duplicate_key(request: Request, error: DuplicateKeyError) -> Response:
    """A unique index refused a write, and no service said it better."""
    fields = [name for name in (error.details or {}).get("keyPattern", {}) if name != "_id"]
    errors = [{"field": name, "rule": "must be unique, and this value is taken"} for name in fields]
    return _answer(Duplicate("This exists already.", errors=errors), request)


async def _store_error(request: Request, error: PyMongoError) -> Response:
    """The store is away, or too many writers met on the same documents: both pass."""
    if not (isinstance(error, ConnectionFailure) or error.has_error_label("TransientTransactionError")):
        raise error
    log.warning("the store did not take the request", reason=str(error))
    shown = Unavailable("The store is busy or away; try again.", retry_after=1)
    shown.headers["Retry-After"] = "1"
    return _answer(shown, request)
