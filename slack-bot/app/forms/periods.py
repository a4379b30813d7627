"""Parse periods such as `today`, `2026-11` or `2026-11-30`, in UTC."""

import re
from datetime import date, datetime, timedelta

from app.errors import InvalidCommand

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
MONTH = re.compile(r"[0-9]{4}-[0-9]{2}", re.ASCII)
DATE_CHARACTERS = 10  # of an instant in ISO 8601
MONTH_CHARACTERS = 7


def parse_period(word: str, now: datetime) -> tuple[str, str] | None:
    """Return the instants from which and before which a period lasts. None if the word is no period.

    Raises `InvalidCommand`.
    """
    days = {"today": 0, "yesterday": 1}
    if word in days:
        day = now.date() - timedelta(days=days[word])
        return _format_instants(day, day + timedelta(days=1))
    try:
        if DAY.fullmatch(word):
            day = date.fromisoformat(word)
            return _format_instants(day, day + timedelta(days=1))
        if MONTH.fullmatch(word):
            first = date.fromisoformat(f"{word}-01")
            return _format_instants(first, _get_next_month(first))
    except (ValueError, OverflowError):
        raise InvalidCommand(f"“{word}” is not a day or month. Type it like `2026-11-30`.") from None
    return None


def format_period(since: str, until: str) -> str:
    """Return the day or the month between two instants of `parse_period`. Empty for no period."""
    if not since:
        return ""
    first, end = (date.fromisoformat(instant[:DATE_CHARACTERS]) for instant in (since, until))
    is_month = first.day == 1 and end == _get_next_month(first)
    return first.isoformat()[:MONTH_CHARACTERS] if is_month else first.isoformat()


def _get_next_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def _format_instants(first: date, until: date) -> tuple[str, str]:
    return f"{first.isoformat()}T00:00:00Z", f"{until.isoformat()}T00:00:00Z"
