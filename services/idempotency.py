"""Answers to requests that carried an Idempotency-Key, kept so that a repeated request gets the same answer.

The answer commits with the request's own writes: either both are there or neither.
"""

import hashlib
import hmac
from datetime import timedelta

from app import clock
from app.errors import Conflict
from models.bookkeeping import IdempotencyKey
from services.expiry import has_expired

KEPT = timedelta(days=1)


class IdempotencyKeyReused(Conflict):
    code, title = "idempotency_key_reused", "This Idempotency-Key was used for another request"


def key_id(caller: str, method: str, path: str, key: str) -> str:
    """The identifier under which the answer is kept: two callers never share a key."""
    return hashlib.sha256(f"{caller}\0{method}\0{path}\0{key}".encode()).hexdigest()


def fingerprint(query: bytes, body: bytes, *, secret: str) -> str:
    """Tells one request from another. Keyed, because a body may hold a password."""
    return hmac.digest(secret.encode(), query + b"\0" + body, "sha256").hex()


async def stored_answer(identifier: str, print_: str) -> IdempotencyKey | None:
    """The answer given before, if any. Raises IdempotencyKeyReused if it was given to another request."""
    answer = await IdempotencyKey.find_one({"_id": identifier})
    if answer is None or has_expired(answer):
        return None
    if answer.fingerprint != print_:
        raise IdempotencyKeyReused("Send a new Idempotency-Key with a new request.")
    return answer


async def store_answer(identifier: str, print_: str, *, status: int, headers: dict[str, str], body: bytes) -> None:
    """Keep an answer. Raises DuplicateKeyError if the same request was answered elsewhere at the same time.

    Belongs in the transaction of the request: an answer that has expired makes room.
    """
    former = await IdempotencyKey.find_one({"_id": identifier})
    if former is not None and has_expired(former):
        await IdempotencyKey.get_pymongo_collection().delete_one({"_id": identifier})
    await IdempotencyKey(
        id=identifier,
        fingerprint=print_,
        status=status,
        headers=headers,
        body=body,
        expires_at=clock.now() + KEPT,
    ).insert()
