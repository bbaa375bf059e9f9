"""How a route runs: who calls, whether they may, then the work in one transaction, at most once per Idempotency-Key."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from pymongo.errors import DuplicateKeyError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.database import in_transaction
from app.errors import EfiError, Forbidden, Invalid, Malformed, Unauthenticated, UnsupportedMediaType
from app.security import Actor, acting_as, current_actor, system
from app.settings import Settings
from routes.api.permissions import PEERS, PERMISSIONS, PUBLIC
from routes.api.problems import problems, request_id
from routes.capability import CapabilityRouter
from services import idempotency
from services.accounts import sessions
from services.knowledge.network import peers

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_SURROGATE = re.compile(rb"\\u[dD][89abAB]|\\u[dD][c-fC-F]")
_JSON = re.compile(r"application/([a-z0-9.!#$&^_-]+\+)?json")
_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeat a request with the same key and it takes effect once; the answer is kept for a day.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,200}$"},
}

Handler = Callable[[Request], Awaitable[Response]]


class ApiRoute(APIRoute):
    """A route that answers only callers whom the table of permissions names, and runs as them."""

    keeps_answers = False

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        methods = options.get("methods") or ["GET"]
        self.permission = f"{next(iter(methods))} {path}"
        self.public = self.permission in PUBLIC
        self.allowed = PERMISSIONS.get(self.permission, frozenset())
        self.writes = not WRITES.isdisjoint(methods)
        own = options.get("responses") or {}
        options["responses"] = problems(*self._expected_errors(conditional=412 in own)) | own
        options["openapi_extra"] = self._openapi(methods) | (options.get("openapi_extra") or {})
        super().__init__(path, endpoint, **options)

    def _expected_errors(self, *, conditional: bool) -> list[int]:
        expected = [422, 500, 503]
        if not self.public:
            expected += [401, 403]
        if self.writes:
            expected += [400, 413, 415]
        if conditional:
            expected.append(400)  # for an If-Match that is no ETag
        if self.keeps_answers and self.writes:
            expected.append(409)
        return sorted(set(expected))

    def _openapi(self, methods: Sequence[str]) -> dict[str, Any]:
        if self.public:
            return {"security": []}
        extra: dict[str, Any] = {"security": [{"bearer": []}], "x-roles": sorted(self.allowed)}
        if self.keeps_answers and "POST" in methods:
            extra["parameters"] = [_KEY_PARAMETER]
        return extra

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self.methods:
            await super().handle(scope, receive, send)  # answers 405
            return
        # The actor stays set until the answer is sent: a streamed one still reads while it is under way.
        with acting_as(await self._caller(Request(scope))):
            await super().handle(scope, receive, send)

    async def _caller(self, request: Request) -> Actor:
        cause = request_id(request)
        if self.public:
            return system("public", cause=cause)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send an access token: Authorization: Bearer …", reason="missing")
        settings: Settings = request.app.state.settings
        with acting_as(system("authentication", cause=cause)):
            if self.permission in PEERS and peers.is_token(token.strip()):
                return (await peers.authenticate(token.strip())).because_of(cause)
            actor, request.state.session_id = await sessions.authenticate(token.strip(), key=settings.signing_key)
        if not actor.has(*self.allowed):
            raise Forbidden(f"{self.permission} is not for you.", roles=sorted(self.allowed))
        return actor.because_of(cause)

    def get_route_handler(self) -> Handler:
        answer = super().get_route_handler()
        has_body = self.body_field is not None
        parameters = get_flat_params(self.dependant)
        query_names = {field.alias for field in parameters if isinstance(field.field_info, Query)}

        async def handler(request: Request) -> Response:
            if unknown := request.query_params.keys() - query_names:
                errors = [{"field": name[:100], "rule": "is not a parameter of this route"} for name in sorted(unknown)]
                raise Invalid("Unknown query parameters.", errors=errors)
            # Read here and once: a transaction that is repeated needs the body again.
            read = await ReadRequest.of(request, parse=has_body)
            return await self.run(read, answer)

        return handler

    async def run(self, request: "ReadRequest", answer: Handler) -> Response:
        return await answer(request)


class TransactionalRoute(ApiRoute):
    """A route whose writes commit together or not at all, and a POST with an Idempotency-Key only once."""

    keeps_answers = True

    async def run(self, request: "ReadRequest", answer: Handler) -> Response:
        if request.method not in WRITES:
            return await answer(request)
        key = request.headers.get("idempotency-key")
        if key is None or request.method != "POST":
            return await in_transaction(lambda: answer(request))
        if IDEMPOTENCY_KEY.fullmatch(key) is None:
            raise Invalid.field("Idempotency-Key", "must be 1 to 200 visible ASCII characters", key)
        return await _once(key, request, answer)


class QuestionRoute(TransactionalRoute):
    """A POST that asks: it needs no transaction around it, unless an Idempotency-Key wants its answer kept."""

    async def run(self, request: "ReadRequest", answer: Handler) -> Response:
        if "idempotency-key" in request.headers:
            return await super().run(request, answer)
        return await answer(request)


async def _once(key: str, request: "ReadRequest", answer: Handler) -> Response:
    settings: Settings = request.app.state.settings
    body = await request.body()
    identifier = idempotency.key_id(current_actor().id, request.method, request.url.path, key)
    fingerprint = idempotency.fingerprint(request.scope["query_string"], body, secret=settings.signing_key)

    async def work() -> Response:
        if known := await idempotency.stored_answer(identifier, fingerprint):
            return _replayed(known)
        response = await answer(request)
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        await idempotency.store_answer(
            identifier, fingerprint, status=response.status_code, headers=headers, body=bytes(response.body)
        )
        return response

    try:
        return await in_transaction(work)
    except (EfiError, DuplicateKeyError):
        # The same request may have been answered at the same time: its writes are then what stood in the way.
        if known := await idempotency.stored_answer(identifier, fingerprint):
            return _replayed(known)
        raise


def _replayed(known: Any) -> Response:
    return Response(known.body, known.status, {**known.headers, "Idempotent-Replayed": "true"})


class ReadRequest(Request):
    """A request whose body was read, and parsed if it is to be JSON. `raw` is what tells it from another request."""

    def __init__(self, request: Request, raw: bytes, parsed: Any) -> None:
        super().__init__(request.scope, request.receive)
        self.raw = raw
        self.parsed = parsed

    @classmethod
    async def of(cls, request: Request, *, parse: bool) -> "ReadRequest":
        raw = await request.body()
        if not (parse and raw):
            return cls(request, raw, None)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not (
            media_type.startswith("application/") and media_type.endswith("+json")
        ):
            raise UnsupportedMediaType()
        return cls(request, raw, parse_json(raw))

    async def body(self) -> bytes:
        return self.raw

    async def json(self) -> Any:
        return self.parsed


def parse_json(raw: bytes) -> Any:
    """Parse strictly (RFC 7493): no NaN, no infinities, no name twice in one object, no half of a surrogate pair.

    Raises Malformed.
    """
    try:
        parsed = json.loads(raw, parse_constant=_refuse_constant, object_pairs_hook=_unique_names)
        if _SURROGATE.search(raw):
            # Pairs have become characters by now. A half is no text: nothing could store or answer it.
            json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Malformed("The body is not JSON: a string holds half of a surrogate pair.") from None
    except RecursionError:
        raise Malformed("The JSON is nested too deeply.") from None
    except ValueError as error:  # covers JSONDecodeError, bytes that are no UTF-8, and numbers without end
        raise Malformed(f"The body is not JSON: {error}.", errors=[{"field": "body", "rule": str(error)}]) from None
    return parsed


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in {other for other, _ in pairs[:i]})
        raise ValueError(f"the name {twice[:100]!r} stands twice in one object")
    return found


def api_router(prefix: str, *, tag: str, route_class: type[ApiRoute] = TransactionalRoute) -> CapabilityRouter:
    """A router for `/api` + `prefix`. Every route needs a row in the table of permissions.

    A bare ApiRoute leaves transactions to the services: for work whose failures must leave a trace.
    """
    return CapabilityRouter(prefix=f"/api{prefix}", tags=[tag], route_class=route_class)
