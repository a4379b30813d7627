"""The daily sessions of brokers: their expiry, and the time to remind a person to log in."""

from datetime import UTC, datetime, time, timedelta, timezone

REMINDER_LEAD_TIME = timedelta(minutes=75)  # before the open
_INDIA = timezone(timedelta(hours=5, minutes=30))
_EXPIRY = time(6)  # in India: Kite's tokens of the day before end


def compute_session_expiry(now: datetime) -> datetime:
    """Return when a session that begins now ends: the next 06:00 in India."""
    local = now.astimezone(_INDIA)
    end = datetime.combine(local.date(), _EXPIRY, _INDIA)
    return (end if local < end else end + timedelta(days=1)).astimezone(UTC)


def needs_log_in(expires_at: datetime | None, opens_at: datetime | None, now: datetime) -> bool:
    """Return whether a person must log in now, so that orders can go out when the market opens.

    `opens_at` is the next open of the market, or the open of the current session; None if it is not known.
    """
    if opens_at is None or now < opens_at - REMINDER_LEAD_TIME:
        return False
    return expires_at is None or expires_at <= max(now, opens_at)
