"""Statements about ticks and bars. Each one filters by tenant."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

from sqlalchemy import Connection, Table, delete, func, select

from app.database import build_upsert
from app.database.bulk import BulkRow, BulkWrite
from app.instruments.rules import InstrumentKey
from app.market_data.models import BarRow, DailyBarRow, TickRow
from app.market_data.queries import QUOTE_COLUMNS
from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar, Quote
from app.money import format_optional_fixed
from app.timestamps import format_timestamp

_TICKS = cast("Table", TickRow.__table__)
_TABLES = {
    Interval.MINUTE: cast("Table", BarRow.__table__),
    Interval.DAY: cast("Table", DailyBarRow.__table__),
}
_KEY = ("tenant_id", "symbol", "start")
_PRICES = ("open", "high", "low", "close", "volume")
_TICK_COLUMNS = tuple(_TICKS.c[name] for name in ("symbol", *QUOTE_COLUMNS))


def list_ticks(
    connection: Connection, key: InstrumentKey, start: datetime, end: datetime, limit: int
) -> list[Quote]:
    """Return the first `limit` ticks of a symbol in [start, end), in order of arrival."""
    query = select(*_TICK_COLUMNS).where(_TICKS.c.tenant_id == key.tenant_id, _TICKS.c.symbol == key.symbol)
    query = query.where(_TICKS.c.at >= start, _TICKS.c.at < end).order_by(_TICKS.c.at, _TICKS.c.id)
    return [Quote._make(row) for row in connection.execute(query.limit(limit))]


def find_last_tick(connection: Connection, key: InstrumentKey, at: datetime) -> Quote | None:
    """Return the last tick of a symbol that arrived by `at`, or None if none is kept."""
    query = select(*_TICK_COLUMNS).where(_TICKS.c.tenant_id == key.tenant_id, _TICKS.c.symbol == key.symbol)
    query = query.where(_TICKS.c.at <= at).order_by(_TICKS.c.at.desc(), _TICKS.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else Quote._make(row)


def find_last_close(connection: Connection, key: InstrumentKey, at: datetime) -> Quote | None:
    """Return the close of the last minute that ended by `at`, as a quote of its last price, or None."""
    row, minute = BarRow, Interval.MINUTE.length
    query = select(row.close, row.start).where(row.tenant_id == key.tenant_id, row.symbol == key.symbol)
    query = query.where(row.start <= at - minute).order_by(row.start.desc()).limit(1)
    bar = connection.execute(query).one_or_none()
    return None if bar is None else _close(key.symbol, bar[0], bar[1] + minute)


def list_bars(
    connection: Connection, interval: Interval, key: InstrumentKey, start: datetime, end: datetime, limit: int
) -> list[Bar]:
    """Return the newest stored bars of [start, end), at most `limit`, in time order.

    Bars of one minute and of one day are stored.
    """
    table = _TABLES[interval]
    query = select(*(table.c[name] for name in ("symbol", "start", *_PRICES)))
    query = query.where(table.c.tenant_id == key.tenant_id, table.c.symbol == key.symbol)
    query = query.where(table.c.start >= start, table.c.start < end)
    rows = connection.execute(query.order_by(table.c.start.desc()).limit(limit))
    return [Bar._make(row) for row in rows][::-1]


def find_last_bar_start(connection: Connection, interval: Interval, key: InstrumentKey) -> datetime | None:
    """Return the start of the newest stored bar of a symbol, None if there is none."""
    table = _TABLES[interval]
    query = select(func.max(table.c.start)).where(
        table.c.tenant_id == key.tenant_id, table.c.symbol == key.symbol
    )
    last_bar_start: datetime | None = connection.execute(query).scalar_one()
    return last_bar_start


def find_next_minute(
    connection: Connection, key: InstrumentKey, since: datetime, before: datetime
) -> datetime | None:
    """Return the start of the first one-minute bar of [since, before), None if there is none."""
    row = BarRow
    query = select(func.min(row.start)).where(row.tenant_id == key.tenant_id, row.symbol == key.symbol)
    minute: datetime | None = connection.execute(
        query.where(row.start >= since, row.start < before)
    ).scalar_one()
    return minute


def build_bar_write(interval: Interval, tenant_id: int, bars: Sequence[Bar]) -> BulkWrite:
    """Return the write that stores bars. It replaces earlier values of the bars."""
    rows: list[BulkRow] = [
        (tenant_id, bar.symbol, format_timestamp(bar.start), *map(format_optional_fixed, bar[2:]))
        for bar in bars
    ]
    return build_upsert(_TABLES[interval], _KEY + _PRICES, _KEY, rows)


def delete_ticks(connection: Connection, key: InstrumentKey, before: datetime, limit: int) -> int:
    """Delete the oldest ticks of a symbol before an instant, at most `limit`. Return how many."""
    old = select(_TICKS.c.id).where(_TICKS.c.tenant_id == key.tenant_id, _TICKS.c.symbol == key.symbol)
    old = old.where(_TICKS.c.at < before).order_by(_TICKS.c.at).limit(limit)
    is_old = _TICKS.c.tenant_id == key.tenant_id, _TICKS.c.id.in_(old)
    return connection.execute(delete(_TICKS).where(*is_old)).rowcount


def _close(symbol: str, price: Decimal, at: datetime) -> Quote:
    return Quote(
        symbol=symbol, bid=None, ask=None, last=price, bid_size=None, ask_size=None, at=at, source="bar"
    )
