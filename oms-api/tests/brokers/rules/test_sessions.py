"""A session ends at 06:00 in India, and a person is reminded before the open."""

from datetime import UTC, datetime, timedelta

import pytest

from app.brokers.rules.sessions import REMINDER_LEAD_TIME, compute_session_expiry, needs_log_in

OPENS_AT = datetime(2026, 11, 30, 3, 45, tzinfo=UTC)  # 09:15 in India
EXPIRY = datetime(2026, 11, 30, 0, 30, tzinfo=UTC)  # 06:00 in India


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (EXPIRY - timedelta(hours=20), EXPIRY),
        (EXPIRY - timedelta(seconds=1), EXPIRY),
        (EXPIRY, EXPIRY + timedelta(days=1)),
    ],
)
def test_session_ends_at_six_in_the_morning(now, expected):
    assert compute_session_expiry(now) == expected


@pytest.mark.parametrize(
    ("expires_at", "opens_at", "before_open", "expected"),
    [
        (None, OPENS_AT, REMINDER_LEAD_TIME, True),
        (EXPIRY, OPENS_AT, REMINDER_LEAD_TIME, True),
        (EXPIRY, OPENS_AT, REMINDER_LEAD_TIME + timedelta(seconds=1), False),
        (EXPIRY + timedelta(days=1), OPENS_AT, REMINDER_LEAD_TIME, False),
        (EXPIRY, None, REMINDER_LEAD_TIME, False),
        (EXPIRY, OPENS_AT, timedelta(hours=-1), True),
        (EXPIRY + timedelta(days=1), OPENS_AT, timedelta(hours=-1), False),
    ],
)
def test_person_is_reminded_in_time_for_the_open(expires_at, opens_at, before_open, expected):
    assert needs_log_in(expires_at, opens_at, OPENS_AT - before_open) is expected
