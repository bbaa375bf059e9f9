"""Signing in and out: access tokens, rotating refresh tokens, and the brake on guessing passwords."""

import asyncio
import hashlib
import hmac
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from pymongo.errors import DuplicateKeyError

from app import clock
from app.database import in_transaction
from app.errors import TooManyRequests, Unauthenticated
from app.security import (
    DUMMY_PASSWORD_HASH,
    Actor,
    ActorKind,
    hash_token,
    new_refresh_token,
    read_access_token,
    sign_access_token,
    verify_password,
)
from app.settings import Settings
from models.account import LoginAttempts, Session, User
from services.expiry import has_expired
from services.remembered import Remembered

log = structlog.get_logger(__name__)

FREE_ATTEMPTS = 5
FIRST_BLOCK = timedelta(seconds=15)
LONGEST_BLOCK = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=1)


class RefreshTokenReused(Unauthenticated):
    code, title = "refresh_token_reused", "This refresh token was used before; the session has been ended"


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str
    access_expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime


def actor_of(user: User) -> Actor:
    """The user as the one who acts."""
    return Actor(
        kind=ActorKind.user,
        id=user.id,
        name=user.name,
        roles=frozenset(user.roles),
        organisation_id=user.organisation_id,
        site_ids=frozenset(user.site_ids),
    )


_accounts: Remembered[User | None] = Remembered(User.Settings.name)


async def authenticate(access_token: str, *, key: str) -> tuple[Actor, str]:
    """Who holds this access token, and in which session. Raises Unauthenticated if it is not, or no longer, valid.

    The account is believed for a moment without asking the store, as in `resume`.
    """
    claims = read_access_token(access_token, key=key)
    user = await _accounts.answer(claims.user_id, lambda: _account(claims.user_id))
    if user is None or not user.active:
        raise Unauthenticated("This account is not active.", reason="inactive")
    if user.tokens_valid_from is not None and claims.issued_at < user.tokens_valid_from:
        raise Unauthenticated("The access token was withdrawn; sign in or refresh it.", reason="withdrawn")
    return actor_of(user), claims.session_id


async def _account(user_id: str) -> User | None:
    return await User.find_one({"_id": user_id})


async def login(email: str, password: str, settings: Settings) -> Tokens:
    """Sign in. Raises Unauthenticated, or TooManyRequests while the address is blocked.

    Not for use in a transaction: a failed attempt must stay counted.
    """
    address = email.lower()
    await count_attempt(address)
    user = await User.find_one({"email": address})
    password_hash = DUMMY_PASSWORD_HASH if user is None else user.password_hash
    genuine = await asyncio.to_thread(verify_password, password, password_hash)
    if user is None or not genuine or not user.active:
        log.warning("sign-in refused", account=user.id if user else None)
        raise Unauthenticated("E-mail address or password is wrong.", reason="credentials")
    await forgive(address)
    return await in_transaction(lambda: _open_session(user, settings))


async def refresh(refresh_token: str, settings: Settings) -> Tokens:
    """Exchange a refresh token for new tokens; it is void from then on.

    Raises RefreshTokenReused for one that was exchanged before: a copy of it is about, so its session ends. Not for
    use in a transaction, which would take that end back.
    """
    session_id, _, secret = refresh_token.partition(".")
    now = clock.now()
    session = await Session.find_one({"_id": session_id})
    if session is None or session.ended_at is not None or has_expired(session):
        raise Unauthenticated("The refresh token is not valid; sign in.", reason="invalid")
    user = await User.find_one({"_id": session.user_id})
    if user is None or not user.active:
        raise Unauthenticated("This account is not active.", reason="inactive")
    fresh, fresh_hash = new_refresh_token()
    expires = now + timedelta(days=settings.refresh_token_days)
    rotated = await Session.get_pymongo_collection().update_one(
        {
            "_id": session.id,
            "revision": session.revision,
            "refresh_hash": hash_token(secret),
            "ended_at": None,
        },
        {
            "$set": {"refresh_hash": fresh_hash, "expires_at": expires, "updated_at": now},
            "$inc": {"rotation": 1, "revision": 1},
        },
    )
    if not rotated.matched_count:
        log.warning("refresh token used twice", account=user.id, session=session.id)
        await in_transaction(lambda: _end(session.user_id, {"_id": session.id}))
        raise RefreshTokenReused("Sign in again. If it was not you who used it, change your password.")
    return _tokens(user, session.id, f"{session.id}.{fresh}", expires, settings)


@dataclass(frozen=True, slots=True)
class _Resumed:
    actor: Actor
    session_id: str
    expires_at: datetime


_resumed: Remembered[_Resumed] = Remembered(Session.Settings.name, User.Settings.name)


async def resume(refresh_token: str) -> tuple[Actor, str]:
    """Who holds this refresh token, and in which session, without exchanging it: for a browser, whose cookie no script
    can read. Raises Unauthenticated if it is not, or no longer, valid.

    Believed for a moment without asking the store (see Remembered): what this process writes to sessions or accounts
    counts at once, what another one does a second later at most.
    """
    known = await _resumed.answer(hash_token(refresh_token), lambda: _resume(refresh_token))
    if known.expires_at <= clock.now():
        raise Unauthenticated("The session has ended; sign in.", reason="expired")
    return known.actor, known.session_id


async def _resume(refresh_token: str) -> _Resumed:
    session_id, _, secret = refresh_token.partition(".")
    session = await Session.find_one({"_id": session_id})
    if session is None or session.ended_at is not None:
        raise Unauthenticated("The session has ended; sign in.", reason="expired")
    if not hmac.compare_digest(session.refresh_hash, hash_token(secret)):
        raise Unauthenticated("The session is not valid; sign in.", reason="invalid")
    user = await User.find_one({"_id": session.user_id})
    if user is None or not user.active:
        raise Unauthenticated("This account is not active.", reason="inactive")
    return _Resumed(actor_of(user), session.id, session.expires_at)


async def logout(user_id: str, session_id: str) -> None:
    """End one session. Access tokens given out so far are void at once; other sessions refresh theirs."""
    await _end(user_id, {"_id": session_id, "user_id": user_id})


async def end_all(user_id: str) -> None:
    """End every session of a user, and with it every token."""
    await _end(user_id, {"user_id": user_id})


async def _end(user_id: str, which: dict[str, str]) -> None:
    now = clock.now()
    await Session.get_pymongo_collection().update_many(
        {**which, "ended_at": None}, {"$set": {"ended_at": now, "updated_at": now}, "$inc": {"revision": 1}}
    )
    await User.get_pymongo_collection().update_one({"_id": user_id}, {"$set": {"tokens_valid_from": now}})


async def _open_session(user: User, settings: Settings) -> Tokens:
    secret, secret_hash = new_refresh_token()
    now = clock.now()
    expires = now + timedelta(days=settings.refresh_token_days)
    session = Session(user_id=user.id, refresh_hash=secret_hash, expires_at=expires)
    await session.insert()
    # Neither this nor `tokens_valid_from` counts the revision up: it is the ETag by which admins edit the account.
    await User.get_pymongo_collection().update_one({"_id": user.id}, {"$set": {"last_login_at": now}})
    return _tokens(user, session.id, f"{session.id}.{secret}", expires, settings)


def _tokens(user: User, session_id: str, refresh_token: str, refresh_expires: datetime, settings: Settings) -> Tokens:
    lifetime = timedelta(minutes=settings.access_token_minutes)
    access, access_expires = sign_access_token(user.id, session_id, key=settings.signing_key, lifetime=lifetime)
    return Tokens(access, access_expires, refresh_token, refresh_expires)


def _attempts_id(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


async def forgive(email: str) -> None:
    """Forget the failed attempts for this address."""
    await LoginAttempts.get_pymongo_collection().delete_one({"_id": _attempts_id(email.lower())})


async def count_attempt(email: str) -> None:
    """Count an attempt before it is made, as if it failed, so that many at once cannot slip through.

    Addresses that nobody has are counted too: being blocked tells nothing about who has an account. Raises
    TooManyRequests while the address is blocked; `forgive` after a success.
    """
    attempts_id = _attempts_id(email.lower())
    while True:
        known = await LoginAttempts.find_one({"_id": attempts_id})
        now = clock.now()
        if known is None:
            first = LoginAttempts(id=attempts_id, failures=1, expires_at=now + FORGOTTEN_AFTER)
            try:
                await first.insert()
            except DuplicateKeyError:
                continue
            return
        if known.blocked_until is not None and known.blocked_until > now:
            raise _blocked(known.blocked_until - now)
        failures = 1 if has_expired(known) else known.failures + 1
        pause = pause_after(failures)
        counted = await LoginAttempts.get_pymongo_collection().update_one(
            {"_id": attempts_id, "failures": known.failures},
            {
                "$set": {
                    "failures": failures,
                    "blocked_until": now + pause if pause else None,
                    "expires_at": now + FORGOTTEN_AFTER,
                    "updated_at": now,
                },
                "$inc": {"revision": 1},
            },
        )
        if counted.matched_count:
            return


def pause_after(failures: int) -> timedelta:
    """How long an address is blocked after this many failures in a row: nothing at first, then doubling."""
    if failures < FREE_ATTEMPTS:
        return timedelta()
    return min(FIRST_BLOCK * 2 ** min(failures - FREE_ATTEMPTS, 16), LONGEST_BLOCK)


def _blocked(rest: timedelta) -> TooManyRequests:
    seconds = math.ceil(rest.total_seconds())
    error = TooManyRequests(f"Too many failed attempts; try again in {seconds} s.", retry_after=seconds)
    error.headers["Retry-After"] = str(seconds)
    return error
