"""A person's preferences, and the entries of the form that changes them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.errors import InvalidEntries
from app.forms.orders.ticket import TYPE_NAMES, TimeInForce
from app.forms.text import InvalidName, parse_symbol

QUIET_HOURS = re.compile(
    r"([01]?[0-9]|2[0-3]):([0-5][0-9])\s*(?:-|–|to|until)\s*([01]?[0-9]|2[0-3]):([0-5][0-9])",
    re.ASCII | re.IGNORECASE,
)
MINUTES_PER_HOUR = 60
MAX_LISTS = 20
MAX_SYMBOLS = 200

# Block ids of the form, which are the names of the fields in the OMS.
DEFAULT_PORTFOLIO = "default_portfolio"
ORDER_TYPE = "order_type"
TIME_IN_FORCE = "time_in_force"
NUMBER_FORMAT = "number_format"
TIME_ZONE = "time_zone"
QUIET = "quiet_hours"
WATCHLISTS = "watchlists"
NOTIFY_PREFIX = "notify:"


class Mode(StrEnum):
    """The delivery of notifications: at once, together with others, or not at all."""

    PING = "ping"
    BUNDLE = "bundle"
    OFF = "off"


class NotificationType(NamedTuple):
    """The events that a person can be notified of by direct message, and the mode without a preference."""

    label: str
    default: Mode


NOTIFICATION_TYPES = {
    "alert.fired": NotificationType("Your alerts", Mode.PING),
    "order.filled": NotificationType("Fills of your orders", Mode.OFF),
    "order.rejected": NotificationType("Orders that the broker rejects", Mode.PING),
    "order.expired": NotificationType("Orders that expire", Mode.OFF),
    "approval.requested": NotificationType("Orders that wait for your decision", Mode.PING),
    "approval.granted": NotificationType("Your orders that are approved", Mode.OFF),
    "approval.rejected": NotificationType("Your orders that are not approved", Mode.PING),
    "portfolio.summary": NotificationType("Summaries at the close", Mode.OFF),
}
NUMBER_FORMATS = ("1,234.5", "1.234,5")


@dataclass(frozen=True)
class QuietHours:
    """A daily period in a person's time zone, as HH:MM. It may span midnight."""

    since: str
    until: str

    @property
    def text(self) -> str:
        """The period as it is typed."""
        return f"{self.since} to {self.until}"


@dataclass(frozen=True)
class Preferences:
    """A person's preferences. `notify` are modes by event type, `watchlists` symbols by name of list."""

    default_portfolio: str | None = None
    order_type: str = "MARKET"
    time_in_force: str = "DAY"
    number_format: str = NUMBER_FORMATS[0]
    time_zone: str = "UTC"
    quiet_hours: QuietHours | None = None
    notify: Mapping[str, str] = field(default_factory=dict)
    watchlists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def has_decimal_comma(self) -> bool:
        """Whether numbers are written like 1.234,5."""
        return self.number_format == NUMBER_FORMATS[1]

    def get_mode(self, event_type: str) -> Mode:
        """Return how the person wants to be notified: by the type, else by its family, else the default."""
        family = f"{event_type.partition('.')[0]}.*"
        chosen = self.notify.get(event_type) or self.notify.get(family)
        notification_type = NOTIFICATION_TYPES.get(event_type)
        return next(
            (mode for mode in Mode if mode.value == chosen),
            notification_type.default if notification_type else Mode.OFF,
        )

    def find_end_of_quiet_hours(self, now: datetime) -> datetime | None:
        """Return when the quiet hours that contain `now` end, in UTC. None outside of them."""
        if self.quiet_hours is None:
            return None
        local = now.astimezone(_find_zone(self.time_zone))
        since = _parse_minutes(self.quiet_hours.since)
        until = _parse_minutes(self.quiet_hours.until)
        minute = local.hour * MINUTES_PER_HOUR + local.minute
        is_quiet = since <= minute < until if since < until else minute >= since or minute < until
        if not is_quiet:
            return None
        hour, minute_of_hour = divmod(until, MINUTES_PER_HOUR)
        end = local.replace(hour=hour, minute=minute_of_hour, second=0, microsecond=0)
        return (end if end > local else end + timedelta(days=1)).astimezone(UTC)


def parse_settings(entries: Mapping[str, str], previous: Preferences) -> dict[str, Any]:
    """Return the preferences of a submitted form, as the OMS names them. Raises `InvalidEntries`."""
    errors: dict[str, str] = {}

    def parse_entry(name: str, read: Callable[[str], Any]) -> Any:
        try:
            return read(entries.get(name, ""))
        except InvalidName as error:
            errors[name] = str(error)
            return None

    hours = parse_entry(QUIET, parse_quiet_hours)
    values: dict[str, Any] = {
        DEFAULT_PORTFOLIO: entries.get(DEFAULT_PORTFOLIO) or None,
        QUIET: {"from": hours.since, "to": hours.until} if hours else None,
        "notify": {**previous.notify, **_read_modes(entries)},
    }
    if WATCHLISTS in entries:
        values[WATCHLISTS] = parse_entry(WATCHLISTS, parse_watchlists)
    chosen = (ORDER_TYPE, TIME_IN_FORCE, NUMBER_FORMAT, TIME_ZONE)
    values |= {name: entries[name] for name in chosen if entries.get(name)}
    if errors:
        raise InvalidEntries(errors)
    return values


def parse_quiet_hours(text: str) -> QuietHours | None:
    """Return the period of a text such as `22:00 to 07:00`, None for an empty text. Raises `InvalidName`."""
    if not text.strip():
        return None
    match = QUIET_HOURS.fullmatch(text.strip())
    if match is None:
        raise InvalidName("Type the hours like 22:00 to 07:00, or leave this empty.")
    hours = QuietHours(f"{int(match[1]):02}:{match[2]}", f"{int(match[3]):02}:{match[4]}")
    if hours.since == hours.until:
        raise InvalidName("The hours must begin and end at different times.")
    return hours


def parse_watchlists(text: str) -> dict[str, list[str]]:
    """Return the lists of a text with one list a line, such as `Tech: AAPL, MSFT`. Raises `InvalidName`."""
    lists: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, symbols = line.partition(":")
        if not (colon and name.strip()):
            raise InvalidName("Type one list a line: a name, a colon and symbols, such as Tech: AAPL, MSFT.")
        parsed = [parse_symbol(symbol) for symbol in re.split(r"[,\s]+", symbols) if symbol]
        lists[name.strip()] = list(dict.fromkeys(parsed))[:MAX_SYMBOLS]
    if len(lists) > MAX_LISTS:
        raise InvalidName(f"There can be at most {MAX_LISTS} lists.")
    return lists


def format_watchlists(watchlists: Mapping[str, tuple[str, ...]]) -> str:
    """Return the lists as they are typed."""
    return "\n".join(f"{name}: {', '.join(symbols)}" for name, symbols in watchlists.items())


def get_order_type(preferences: Preferences) -> str:
    """Return the type that order forms start with, empty if the form does not offer it."""
    return preferences.order_type if preferences.order_type in TYPE_NAMES else ""


def get_time_in_force(preferences: Preferences) -> str:
    """Return the time in force that order forms start with. A date has to be chosen for each order."""
    value = preferences.time_in_force
    return value if value in tuple(TimeInForce) and value != TimeInForce.GTD else ""


def _read_modes(entries: Mapping[str, str]) -> dict[str, str]:
    choices = {name: entries.get(NOTIFY_PREFIX + name, "") for name in NOTIFICATION_TYPES}
    return {name: mode for name, mode in choices.items() if mode}


def _parse_minutes(time: str) -> int:
    hour, _, minute = time.partition(":")
    return int(hour) * MINUTES_PER_HOUR + int(minute)


def _find_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):  # this machine has no data of the zone
        return ZoneInfo("UTC")
