"""Read the bars of manual quotes: the stored bars, and bars of ticks that are not rolled up yet."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.instruments.rules import InstrumentKey
from app.market_data.queries.bars import find_last_bar_start, list_bars, list_ticks
from app.market_data.rules.bars import Interval, combine_bars, fold_quotes, get_bar_start
from app.market_data.rules.values import Bar

MAX_BARS = 50_000  # per request; older ones are cut off
MAX_TICKS = 50_000  # per request; later ones follow when they are rolled up
_MICROSECOND = timedelta(microseconds=1)


def read_bars(
    connection: Connection, key: InstrumentKey, interval: Interval, start: datetime, end: datetime
) -> list[Bar]:
    """Return the bars of a symbol that begin in [start, end), in time order."""
    if interval is not Interval.DAY:
        return combine_bars(_read_minutes(connection, key, start, end), interval)
    last = find_last_bar_start(connection, Interval.DAY, key)
    since = start if last is None else max(start, last + Interval.DAY.length)
    running = combine_bars(_read_minutes(connection, key, since, end), interval)
    return [*list_bars(connection, Interval.DAY, key, start, min(since, end), MAX_BARS), *running]


def _read_minutes(connection: Connection, key: InstrumentKey, start: datetime, end: datetime) -> list[Bar]:
    """Return one-minute bars. The newest stored one may be incomplete: its ticks are read again."""
    if end <= start:
        return []
    last = find_last_bar_start(connection, Interval.MINUTE, key)
    first = get_bar_start(start, Interval.MINUTE)
    since = first if last is None else max(first, last)
    until = get_bar_start(end - _MICROSECOND, Interval.MINUTE) + Interval.MINUTE.length
    bars = {bar.start: bar for bar in list_bars(connection, Interval.MINUTE, key, start, end, MAX_BARS)}
    if since < until:
        bars |= {bar.start: bar for bar in fold_quotes(list_ticks(connection, key, since, until, MAX_TICKS))}
    return [bars[at] for at in sorted(bars) if start <= at < end]
