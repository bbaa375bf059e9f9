"""Documents by which the service keeps its own books."""

from typing import Any

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import new_id
from models.record import Expiry, Record
from models.types import Strict, UtcDatetime


class IdempotencyKey(Record):
    """The answer to a POST that carried an Idempotency-Key, kept for a day; `id` is a hash of caller, path and key.

    It commits together with the request's own writes.
    """

    fingerprint: str = Field(description="Hash of the request body: the same key with another body is refused.")
    status: int
    headers: dict[str, str] = {}
    body: bytes
    expires_at: UtcDatetime

    class Settings(Record.Settings):
        name = "idempotency_keys"
        expiry = Expiry()
        indexes = [IndexModel([("expires_at", ASCENDING), ("_id", ASCENDING)])]


class Migration(Record):
    """A migration step that has run; `id` is its number and name."""

    result: dict[str, Any] = {}

    class Settings(Record.Settings):
        name = "migrations"


class Lease(Record):
    """A named lock with an end, by which one replica at a time runs a timer."""

    holder: str
    until: UtcDatetime

    class Settings(Record.Settings):
        name = "leases"
        indexes = [IndexModel([("_id", ASCENDING), ("revision", ASCENDING)])]


class BadRow(Strict):
    row: int
    reason: str
    excerpt: str = ""


class ImportRun(Record):
    """One run of an importer: how far it came, so that it can resume, and which rows it refused."""

    id: str = Field(default_factory=lambda: new_id("import"))
    importer: str
    source_path: str
    source_fingerprint: str = Field(description="Size and hash of the file's beginning: resuming needs the same file.")
    next_row: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    bad_count: int = 0
    bad_rows: list[BadRow] = Field(default=[], description="The first thousand.")
    finished_at: UtcDatetime | None = None

    class Settings(Record.Settings):
        name = "import_runs"
        indexes = [IndexModel([("importer", ASCENDING), ("source_fingerprint", ASCENDING), ("_id", DESCENDING)])]
