"""Problem documents (RFC 9457): how every error of the API looks, and how OpenAPI tells of it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from app import errors
from app.errors import EfiError, Invalid

MEDIA_TYPE = "application/problem+json"
_SECRET = re.compile("password|token|secret", re.IGNORECASE)
_SHOWN = 200
"""Characters of a refused value that are shown."""


class FieldProblem(BaseModel):
    field: str = Field(examples=["vehicle_year"], description="Path of the field, parts joined by dots.")
    rule: str = Field(examples=["Input should be less than or equal to 2100"])
    value: str | None = Field(default=None, examples=["20260"], description="What was sent, cut and never a secret.")


class Problem(BaseModel):
    """What every error answer holds. Some kinds add members, for instance `legal`: the states that can be reached."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:efi:problem:not_found"])
    title: str
    status: int
    code: str = Field(description="Stable name of the kind of error; programs decide by it.")
    detail: str
    request_id: str = Field(description="Stands in the logs too; name it when asking for help.")
    errors: list[FieldProblem] | None = None


class ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE


def render(error: EfiError, request_id: str) -> ProblemResponse:
    """The error as an answer."""
    body = {
        "type": f"urn:efi:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
        **jsonable_encoder(error.extra),
    }
    return ProblemResponse(body, error.status, error.headers)


def request_id(request: Request) -> str:
    return request.scope.get("state", {}).get("request_id", "")


def from_validation(error: RequestValidationError) -> Invalid:
    """What request parsing found, one entry for each field and rule."""
    found = [_field_problem(one) for one in error.errors()]
    summary = "; ".join(f"{entry['field']}: {entry['rule']}" for entry in found[:5])
    return Invalid(f"{summary}{'; …' if len(found) > 5 else ''}", errors=found)


def _field_problem(error: Mapping[str, Any]) -> dict[str, str]:
    path = [str(part) for part in error["loc"]]
    # The first part says where it came from (body, query, path, header); alone, it is the body as a whole.
    field = ".".join(path[1:]) or path[0]
    entry = {"field": field, "rule": error["msg"].removeprefix("Value error, ")}
    value = error.get("input")
    if isinstance(value, str | int | float | bool) and not _SECRET.search(field):
        entry["value"] = str(value)[:_SHOWN]
    return entry


_KINDS: dict[int, type[EfiError]] = {
    kind.status: kind
    for kind in (
        errors.Malformed,
        errors.Unauthenticated,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.Stale,
        errors.TooLarge,
        errors.UnsupportedMediaType,
        errors.Invalid,
        errors.PreconditionRequired,
        errors.TooManyRequests,
        errors.EfiError,
        errors.Unavailable,
    )
}
_EXAMPLE_EXTRAS: dict[int, dict[str, Any]] = {
    409: {
        "code": "illegal_move",
        "title": "This change of state is not allowed",
        "detail": "A ticket that is closed cannot become resolved. Legal from here: in_progress.",
        "current": "closed",
        "wanted": "resolved",
        "legal": ["in_progress"],
    },
    422: {
        "detail": "vehicle_year: Input should be less than or equal to 2100",
        "errors": [
            {"field": "vehicle_year", "rule": "Input should be less than or equal to 2100", "value": "20260"},
        ],
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these errors."""
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> dict[str, Any]:
    kind = _KINDS[status]
    example = {
        "type": f"urn:efi:problem:{kind.code}",
        "title": kind.title,
        "status": status,
        "code": kind.code,
        "detail": kind.title,
        "request_id": "req_0v7k3m2x9qd4hz6t1b8n",
    } | _EXAMPLE_EXTRAS.get(status, {})
    example["type"] = f"urn:efi:problem:{example['code']}"
    return {
        "description": kind.title,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }


def schemas() -> Iterable[tuple[str, dict[str, Any]]]:
    """The schemas that `problems` refers to, for OpenAPI's components."""
    template = "#/components/schemas/{model}"
    problem = Problem.model_json_schema(ref_template=template)
    nested = problem.pop("$defs")
    return [("Problem", problem), *nested.items()]
