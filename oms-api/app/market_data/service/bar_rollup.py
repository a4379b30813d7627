"""Roll ticks up into bars, and delete old ticks. These are jobs, which run in one process at a time.

Both jobs can be interrupted at any point and run again: a bar is always computed from all ticks of its
minute, and a daily bar from all bars of its day.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from app.clock import EPOCH, Now
from app.database import ALL_TENANTS, execute_writes, snapshot, unit_of_work
from app.instruments.rules import InstrumentKey
from app.jobs.service import Lease
from app.market_data.queries import list_quoted_symbols
from app.market_data.queries.bars import (
    build_bar_write,
    delete_ticks,
    find_last_bar_start,
    find_next_minute,
    list_bars,
    list_ticks,
)
from app.market_data.rules.bars import Interval, combine_bars, fold_quotes, get_bar_start

MAX_TICKS = 10_000  # per transaction
MAX_SYMBOLS = 50  # per transaction
MAX_STEP = timedelta(days=30)  # of minutes that are read at once
COMMIT_DELAY = timedelta(minutes=1)  # a quote may reach the database that much later than its time
_MINUTE, _DAY = Interval.MINUTE.length, Interval.DAY.length


class BarRollup:
    """Rolls the ticks of all tenants up into bars of a minute and of a day."""

    def __init__(self, engine: Engine, now: Now) -> None:
        self._engine, self._now = engine, now
        self._minutes_until = EPOCH  # the ticks up to this instant are in bars
        self._days_until = EPOCH  # so are the days that ended by then

    def roll_up(self, lease: Lease) -> None:
        """Store the minutes of all symbols with new ticks, and the days that have ended."""
        started = self._now()
        for keys in self._list_portions(self._minutes_until, lease):
            while any(self._roll_up_minutes(keys)):
                lease.renew()
        self._minutes_until = started - COMMIT_DELAY
        day = get_bar_start(started - COMMIT_DELAY, Interval.DAY)
        if day == self._days_until:
            return
        for keys in self._list_portions(EPOCH, lease):
            while any(self._roll_up_days(keys, day)):
                lease.renew()
        self._days_until = day

    def _list_portions(self, since: datetime, lease: Lease) -> Iterator[list[InstrumentKey]]:
        with snapshot(self._engine, ALL_TENANTS) as connection:
            keys = list_quoted_symbols(connection, since)
        for first in range(0, len(keys), MAX_SYMBOLS):
            yield keys[first : first + MAX_SYMBOLS]
            lease.renew()

    def _roll_up_minutes(self, keys: list[InstrumentKey]) -> list[bool]:
        with unit_of_work(self._engine, ALL_TENANTS) as connection:
            return [_store_minutes(connection, key) for key in keys]

    def _roll_up_days(self, keys: list[InstrumentKey], until: datetime) -> list[bool]:
        with unit_of_work(self._engine, ALL_TENANTS) as connection:
            return [_store_days(connection, key, until) for key in keys]


class TickRetention:
    """Deletes the ticks of all tenants that are older than `retention`. Their bars stay."""

    def __init__(self, engine: Engine, retention: timedelta, now: Now) -> None:
        self._engine, self._retention, self._now = engine, retention, now

    def prune(self, lease: Lease) -> None:
        """Delete old ticks, MAX_TICKS of a symbol per transaction. A minute is deleted as a whole."""
        before = get_bar_start(self._now() - self._retention, Interval.MINUTE)
        with snapshot(self._engine, ALL_TENANTS) as connection:
            keys = list_quoted_symbols(connection, EPOCH)
        for key in keys:
            while self._prune_symbol(key, before) == MAX_TICKS:
                lease.renew()
            lease.renew()

    def _prune_symbol(self, key: InstrumentKey, before: datetime) -> int:
        with unit_of_work(self._engine, ALL_TENANTS) as connection:
            last = find_last_bar_start(connection, Interval.MINUTE, key)
            return delete_ticks(connection, key, min(before, last or EPOCH), MAX_TICKS)


def _store_minutes(connection: Connection, key: InstrumentKey) -> bool:
    """Store the minutes of a symbol from its newest bar on. Return whether further ticks are left."""
    last, limit = find_last_bar_start(connection, Interval.MINUTE, key), MAX_TICKS
    since = EPOCH if last is None else last - COMMIT_DELAY
    while True:
        ticks = list_ticks(connection, key, since, datetime.max.replace(tzinfo=since.tzinfo), limit)
        bars = fold_quotes(ticks)
        if len(ticks) < limit or len(bars) > COMMIT_DELAY // _MINUTE + 2:
            break
        limit *= 2  # all ticks of a minute are needed
    is_cut = len(ticks) == limit
    execute_writes(connection, build_bar_write(Interval.MINUTE, key.tenant_id, bars[:-1] if is_cut else bars))
    return is_cut


def _store_days(connection: Connection, key: InstrumentKey, until: datetime) -> bool:
    """Store the days of a symbol that ended by `until` and follow its newest daily bar.

    Return whether further days may be left.
    """
    last = find_last_bar_start(connection, Interval.DAY, key)
    since = EPOCH if last is None else last + _DAY
    first = find_next_minute(connection, key, since, until)
    if first is None:
        return False
    start = get_bar_start(first, Interval.DAY)
    end = min(start + MAX_STEP, until)
    minutes = list_bars(connection, Interval.MINUTE, key, start, end, MAX_STEP // _MINUTE)
    execute_writes(
        connection, build_bar_write(Interval.DAY, key.tenant_id, combine_bars(minutes, Interval.DAY))
    )
    return end < until
