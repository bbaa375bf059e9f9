"""The in-app inbox."""

from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app import clock
from app.ids import new_id
from models.record import Record
from models.types import UtcDatetime


class Notification(Record):
    """One message to one person. `dedupe_key` makes sending it again harmless."""

    id: str = Field(default_factory=lambda: new_id("notification"))
    user_id: str
    subject: str
    body: str
    link: str = Field(default="", description="Path of the thing it is about.")
    dedupe_key: str
    read_at: UtcDatetime | None = None
    email_due_at: UtcDatetime | None = Field(
        default_factory=clock.now, description="When to try e-mail next; null once it is sent or given up."
    )
    email_attempts: int = 0
    emailed_at: UtcDatetime | None = None
    email_error: str = ""

    class Settings(Record.Settings):
        name = "notifications"
        indexes = [
            IndexModel([("user_id", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("user_id", ASCENDING), ("read_at", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("email_due_at", ASCENDING)]),
            IndexModel([("dedupe_key", ASCENDING), ("user_id", ASCENDING)], unique=True),
        ]
