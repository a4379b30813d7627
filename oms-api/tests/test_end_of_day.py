"""Tests begin before the last seconds of a UTC day, or after them."""

from datetime import UTC, datetime

import pytest

from tests.support.clock import DAY_END_SECONDS, compute_wait_for_next_day


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("23:59:59.5", 0.5), ("23:59:45", 15), ("23:59:40", 0), ("00:00:00", 0), ("12:00:00", 0)],
)
def test_only_the_last_seconds_are_waited_for(time, seconds):
    assert DAY_END_SECONDS == 20
    now = datetime.fromisoformat(f"2028-02-28T{time}").replace(tzinfo=UTC)
    assert compute_wait_for_next_day(now) == seconds
