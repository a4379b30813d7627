"""Closes of a portfolio's P&L day: the closes of its calendar, or 00:00 UTC."""

from datetime import UTC, date, datetime, time, timedelta

from app.calendars.errors import SessionsUnknown
from app.calendars.rules.calendars import Calendar, ContinuousCalendar

MAX_MISSED_CLOSES = 31
_MIDNIGHT = ContinuousCalendar()
_INSTANT = timedelta(microseconds=1)


def get_last_close(calendar: Calendar | None, at: datetime) -> datetime:
    """Return the last close at or before `at`.

    It is 00:00 UTC without a calendar, and where the calendar does not know the sessions.
    """
    try:
        return (calendar or _MIDNIGHT).get_previous_close(at)
    except SessionsUnknown:
        return _MIDNIGHT.get_previous_close(at)


def get_next_close(calendar: Calendar | None, at: datetime) -> datetime:
    """Return the first close after `at`. From that instant on, `get_last_close` returns it."""
    try:
        return (calendar or _MIDNIGHT).get_next_close(at)
    except SessionsUnknown:
        return _MIDNIGHT.get_next_close(at)


def get_pnl_date(close: datetime) -> date:
    """Return the date of the P&L day that ends at a close: a close at 00:00 UTC ends the day before."""
    return (close - _INSTANT).date()


def get_pnl_day_start(close: datetime) -> datetime:
    """Return the start of the date of the P&L day that ends at a close.

    A stored close at or before this start belongs to an earlier day, even if the calendar has changed since.
    """
    return datetime.combine(get_pnl_date(close), time(tzinfo=UTC))


def list_missed_closes(calendar: Calendar | None, after: datetime | None, last: datetime) -> list[datetime]:
    """Return the closes after `after` up to `last`, in time order, at most the newest MAX_MISSED_CLOSES.

    Without `after`, only `last` is returned.
    """
    if after is None:
        return [last]
    closes: list[datetime] = []
    at = last
    while at > after and len(closes) < MAX_MISSED_CLOSES:
        closes.append(at)
        at = get_last_close(calendar, at - _INSTANT)
    return closes[::-1]
