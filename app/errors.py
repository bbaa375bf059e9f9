"""Errors carry their HTTP status and a stable code; one renderer (`app/factory.py`) turns them into
RFC 9457 problem documents."""

from typing import Any


class EfiError(Exception):
    """Base of every expected error.

    `detail` is a sentence for the caller; `extra` becomes further members of the problem document
    (for instance `legal` for a refused state change, `errors` for field errors).
    """

    status = 500
    code = "internal_error"
    title = "Internal error"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra
        self.headers: dict[str, str] = {}


class Invalid(EfiError):
    status, code, title = 422, "invalid", "The request breaks a rule"

    @classmethod
    def field(cls, field: str, rule: str, value: object = None) -> "Invalid":
        """One field that breaks one rule, in the same shape as the errors of request parsing."""
        error = {"field": field, "rule": rule}
        if value is not None:
            error["value"] = str(value)[:200]
        return cls(f"{field}: {rule}", errors=[error])


class Malformed(EfiError):
    status, code, title = 400, "malformed", "The request cannot be read"


class Unauthenticated(EfiError):
    status, code, title = 401, "unauthenticated", "Sign in first"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(EfiError):
    status, code, title = 403, "forbidden", "Not allowed"


class NotFound(EfiError):
    status, code, title = 404, "not_found", "Not found"

    @classmethod
    def of(cls, what: str, identifier: str) -> "NotFound":
        return cls(f"There is no {what} {identifier!r} that you may see.")


class Conflict(EfiError):
    status, code, title = 409, "conflict", "The state does not allow this"


class IllegalMove(Conflict):
    code, title = "illegal_move", "This change of state is not allowed"

    @classmethod
    def between(cls, what: str, current: str, wanted: str, legal: list[str]) -> "IllegalMove":
        """A refused state change; `legal` lists the states that can be reached from `current`."""
        options = ", ".join(legal) if legal else "none"
        return cls(
            f"A {what} that is {current} cannot become {wanted}. Legal from here: {options}.",
            current=current,
            wanted=wanted,
            legal=legal,
        )


class Duplicate(Conflict):
    code, title = "duplicate", "It exists already"


class Stale(EfiError):
    status, code, title = 412, "stale", "Somebody changed it meanwhile"


class PreconditionRequired(EfiError):
    status, code, title = 428, "precondition_required", "Send If-Match with the ETag that you read"


class TooLarge(EfiError):
    status, code, title = 413, "too_large", "The request body is too large"


class UnsupportedMediaType(EfiError):
    status, code, title = 415, "unsupported_media_type", "Send JSON (Content-Type: application/json)"


class TooManyRequests(EfiError):
    status, code, title = 429, "too_many_requests", "Too many attempts"


class Unavailable(EfiError):
    status, code, title = 503, "unavailable", "Not available at the moment"
