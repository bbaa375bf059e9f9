"""The service's one clock."""

from datetime import UTC, datetime, timedelta

FIRST = datetime(1900, 1, 1, tzinfo=UTC)
LAST = datetime(2999, 12, 31, tzinfo=UTC)
INSTANT = timedelta(milliseconds=1)
"""The least that two times differ by: what a BSON date can tell apart."""


def now() -> datetime:
    """The current instant, UTC-aware, cut to whole milliseconds: what a BSON date can hold."""
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def to_utc(instant: datetime) -> datetime:
    """The same instant in UTC, cut to whole milliseconds. `instant` must be zone-aware.

    Raises ValueError outside of FIRST and LAST: such a time is a mistake, and reckoning with it would overflow.
    """
    if not FIRST <= instant <= LAST:
        raise ValueError(f"must lie between {FIRST:%Y-%m-%d} and {LAST:%Y-%m-%d}")
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
