"""The clock: UTC, whole milliseconds, no times that overflow."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter, ValidationError

from app import clock
from models.types import UtcDatetime

INSTANT = TypeAdapter(UtcDatetime)


def test_now_is_what_the_store_can_hold():
    now = clock.now()
    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=5)


def test_other_zones_become_utc():
    ist = timezone(timedelta(hours=5, minutes=30))
    assert clock.to_utc(datetime(2026, 1, 1, 5, 30, 0, 123_999, ist)) == datetime(2026, 1, 1, 0, 0, 0, 123_000, UTC)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "1899-12-31T23:59:59Z", "3000-01-01T00:00:00Z", "9999-12-31T23:59:59-10:00"]
)
def test_times_out_of_all_reason_are_refused_by_rule(text):
    with pytest.raises(ValidationError, match="must lie between"):
        INSTANT.validate_python(text)


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "2026-01-01", "soon"])
def test_times_need_their_zone(text):
    with pytest.raises(ValidationError):
        INSTANT.validate_python(text)
