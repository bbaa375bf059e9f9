"""Who acts, and how they prove it: the current actor, password hashing and tokens."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from app import clock
from app.errors import Unauthenticated


class Role(StrEnum):
    technician = "technician"
    expert = "expert"
    fleet_customer = "fleet_customer"
    admin = "admin"
    oem = "oem"
    manufacturer = "manufacturer"
    service = "service"


class ActorKind(StrEnum):
    user = "user"
    agent = "agent"
    system = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person, an agent or the system itself, on whose behalf, and because of what (event or request id)."""

    kind: ActorKind
    id: str
    name: str = ""
    roles: frozenset[Role] = frozenset()
    organisation_id: str | None = None
    site_ids: frozenset[str] = frozenset()
    on_behalf_of: str | None = None
    cause: str | None = None

    def has(self, *roles: Role) -> bool:
        """Whether the actor has one of these roles."""
        return not self.roles.isdisjoint(roles)

    def because_of(self, cause: str) -> "Actor":
        return replace(self, cause=cause)


def system(name: str, *, cause: str | None = None) -> Actor:
    """The service itself, doing the named piece of housekeeping."""
    return Actor(ActorKind.system, f"system:{name}", name, cause=cause)


def agent(name: str, *, on_behalf_of: str | None = None, cause: str | None = None) -> Actor:
    """A named agent; the guard in `app/database.py` knows it by this id."""
    return Actor(ActorKind.agent, f"agent:{name}", name, on_behalf_of=on_behalf_of, cause=cause)


_current: ContextVar[Actor | None] = ContextVar("actor", default=None)


def current_actor() -> Actor:
    """The actor of the running request, handler or timer. Touching data without one is a mistake in the program."""
    actor = _current.get()
    if actor is None:
        raise RuntimeError("no actor is set: wrap the work in acting_as(...)")
    return actor


@contextmanager
def acting_as(actor: Actor) -> Iterator[Actor]:
    token = _current.set(actor)
    try:
        yield actor
    finally:
        _current.reset(token)


_hasher = PasswordHasher()  # Argon2id with the parameters of RFC 9106's low-memory profile


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def verify_password(password: str, password_hash: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


DUMMY_PASSWORD_HASH = _hasher.hash(secrets.token_urlsafe(16))
"""Verified against when no such user exists, so that the answer takes as long and tells nothing."""


def new_refresh_token() -> tuple[str, str]:
    """A random refresh token and the hash that is stored of it."""
    token = secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AccessClaims:
    user_id: str
    session_id: str
    issued_at: datetime
    expires_at: datetime


def sign_access_token(user_id: str, session_id: str, *, key: str, lifetime: timedelta) -> tuple[str, datetime]:
    """A signed access token (JWT, HS256) and when it expires."""
    issued = clock.now()
    expires = issued + lifetime
    claims = {"sub": user_id, "sid": session_id, "iat": issued.timestamp(), "exp": expires, "aud": "efi"}
    return jwt.encode(claims, key, algorithm="HS256"), expires


def read_access_token(token: str, *, key: str) -> AccessClaims:
    """What a valid token claims; raises Unauthenticated for anything else."""
    try:
        claims = _genuine_claims(token, key)
    except jwt.InvalidTokenError:
        raise Unauthenticated("The access token is not valid.", reason="invalid") from None
    if claims.expires_at <= clock.now():
        raise Unauthenticated("The access token has expired; refresh it.", reason="expired")
    return claims


@lru_cache(maxsize=4096)
def _genuine_claims(token: str, key: str) -> AccessClaims:
    """What a token signed with the key claims, expired or not: a signature once found genuine stays so."""
    claims = jwt.decode(
        token,
        key,
        algorithms=["HS256"],
        audience="efi",
        # Replicas' clocks differ by a little: a token from the near future is as good as any.
        options={"require": ["sub", "sid", "iat", "exp"], "verify_iat": False, "verify_exp": False},
    )
    issued, expires = (datetime.fromtimestamp(claims[name], clock.UTC) for name in ("iat", "exp"))
    return AccessClaims(claims["sub"], claims["sid"], issued, expires)
