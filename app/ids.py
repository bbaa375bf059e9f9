"""Identifiers: a prefix that names the kind, then a time-ordered random tail.

`fc_0v7k3m2x9qd4hz6t1b8n`: 10 characters of milliseconds since 1970 and 10 random ones, in Crockford's base 32,
lower case. Sorting by id is sorting by time of creation, so `_id` alone serves every newest-first page.
"""

import hashlib
import os
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import StringConstraints

PREFIXES = {
    "card": "fc",
    "card_version": "ver",
    "review": "rev",
    "suggestions": "sug",
    "ticket": "tkt",
    "action": "act",
    "photo": "pho",
    "usage": "use",
    "part": "prt",
    "relation": "rel",
    "symptom": "sym",
    "candidate": "cnd",
    "event": "evt",
    "outcome": "out",
    "user": "usr",
    "session": "ses",
    "organisation": "org",
    "site": "site",
    "vehicle": "veh",
    "notification": "ntf",
    "import": "imp",
    "request": "req",
    "tree": "tree",
    "signature": "sig",
    "match_run": "run",
    "diagnosis": "dgs",
    "test_outcome": "tout",
    "override": "ovr",
    "incident": "inc",
    "flag": "flg",
    "proposal": "prp",
    "node": "node",
}

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"^[a-z]+_[0-9a-z_]{1,60}$")
_RESERVE = 256
_lock = threading.Lock()
_last = 0
_random_bytes = b""
"""Drawn ahead: each call to the system gives other threads the interpreter, which comes back milliseconds later."""


def _random() -> int:
    """_RANDOM_BITS of the system's randomness. Under the lock."""
    global _random_bytes
    size = (_RANDOM_BITS + 7) // 8
    if not _random_bytes:
        _random_bytes = os.urandom(_RESERVE * size)
    drawn, _random_bytes = _random_bytes[:size], _random_bytes[size:]
    return int.from_bytes(drawn, "big") >> (8 * size - _RANDOM_BITS)


def _forget() -> None:
    """A forked process must not go on with its parent's numbers."""
    global _random_bytes
    _random_bytes = b""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _encode(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_id(kind: str) -> str:
    """A new identifier for `kind`, a key of `PREFIXES`. Strictly increasing within one process."""
    global _last
    with _lock:
        fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | _random()
        _last = fresh if fresh > _last else _last + 1
        number = _last
    return f"{PREFIXES[kind]}_{_encode(number, 20)}"


def id_at(kind: str, instant: datetime) -> str:
    """A new identifier that takes its place in time at `instant`: imported history. Raises ValueError before 1970."""
    with _lock:
        drawn = _random()
    return f"{PREFIXES[kind]}_{_encode(_milliseconds(instant) << _RANDOM_BITS | drawn, 20)}"


def earliest_id(kind: str, instant: datetime) -> str:
    """The least identifier of this kind that can be made at `instant`: a bound for pages by time."""
    return f"{PREFIXES[kind]}_{_encode(_milliseconds(max(instant, _EPOCH)) << _RANDOM_BITS, 20)}"


def earlier(identifier: str, by: timedelta) -> str:
    """The least identifier of the same kind that can have been made `by` before this one.

    Raises ValueError if it is not of the form that `new_id` gives.
    """
    prefix, _, tail = identifier.rpartition("_")
    if not prefix or len(tail) != 20:
        raise ValueError(f"not an identifier: {identifier!r}")
    number = 0
    for digit in tail:
        number = number * 32 + _ALPHABET.index(digit)
    milliseconds = max(0, (number >> _RANDOM_BITS) - by // timedelta(milliseconds=1))
    return f"{prefix}_{_encode(milliseconds << _RANDOM_BITS, 20)}"


def _milliseconds(instant: datetime) -> int:
    milliseconds = (instant - _EPOCH) // timedelta(milliseconds=1)
    if milliseconds < 0:
        raise ValueError("identifiers begin in 1970")
    return milliseconds


def id_of(kind: str, key: str) -> str:
    """The identifier of `kind` that follows from a key: the same one on every service. It says nothing about time."""
    digest = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=13).digest(), "big") >> 4
    return f"{PREFIXES[kind]}_{_encode(digest, 20)}"


def is_id(text: str, kind: str) -> bool:
    """Whether `text` has the form of an identifier of this kind (it need not exist)."""
    return text.startswith(f"{PREFIXES[kind]}_") and _ID.match(text) is not None


Id = Annotated[str, StringConstraints(pattern=r"^[a-z]+_[0-9a-z_]{1,60}$", max_length=70)]
