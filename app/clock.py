"""The service's one clock."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current instant, UTC-aware, cut to whole milliseconds: what a BSON date can hold."""
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def to_utc(instant: datetime) -> datetime:
    """The same instant in UTC, cut to whole milliseconds. `instant` must be zone-aware."""
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
