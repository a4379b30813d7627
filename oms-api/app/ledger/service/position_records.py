"""Compute the figures of positions through time, and store them in the background."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, Engine

from app.clock import EPOCH, Now
from app.database import ALL_TENANTS, execute_writes, snapshot, unit_of_work
from app.instruments.rules import InstrumentKey
from app.jobs.service import Lease
from app.ledger.queries import position_records as queries
from app.ledger.queries.position_records import PositionWithRecord
from app.ledger.rules.keys import PositionKey, RateKey
from app.ledger.rules.marks import ListedPosition, MarkedPosition
from app.ledger.rules.position_extremes import (
    LedgerRow,
    PositionAfterRow,
    PositionRecord,
    PriceHistory,
    PricePoint,
    RateAt,
    extend_extremes,
    extend_record,
    list_precise_minutes,
)
from app.market_data.queries.bars import list_ticks
from app.market_data.rules.bars import Interval, get_bar_start, get_traded_price
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.rules.values import Bar, Quote
from app.market_data.service import Market
from app.money import ZERO

MAX_POSITIONS = 1_000  # per transaction
MAX_TICKS = 5_000  # of a minute
REFRESH_PERIOD = timedelta(minutes=2)  # a record without new figures is stored again after this time
MINUTE_BARS_PERIOD = timedelta(days=2)  # earlier prices count by bars of a day
TICKS_PERIOD = timedelta(hours=1)  # earlier minutes in which a position changed count by their close
QUOTE_DELAY = timedelta(seconds=10)  # a quote may reach the database that much later than its time
_MINUTE, _DAY = Interval.MINUTE.length, Interval.DAY.length


class PositionRecordUpdater:
    """Stores the figures of the positions of all tenants: a job."""

    def __init__(self, engine: Engine, market: Market, now: Now) -> None:
        self._engine, self._market, self._now = engine, market, now
        self._quotes_until, self._minute = EPOCH, EPOCH

    def update(self, lease: Lease) -> None:
        """Store the figures that changed: of all positions each minute, else of symbols with new quotes.

        A position that traded within the minute has no current record, and is computed when it is read.
        """
        now = self._now()
        minute = get_bar_start(now, Interval.MINUTE)
        quoted_since = None if minute != self._minute else self._quotes_until - QUOTE_DELAY
        after: PositionKey | None = None
        while True:
            with snapshot(self._engine, ALL_TENANTS) as connection:
                page = queries.list_positions_with_records(connection, after, MAX_POSITIONS, quoted_since)
                records = compute_records(connection, self._market, page, now)
            self._store_records(
                {
                    position.key: records[position.key]
                    for position in page
                    if _is_due(position, records[position.key])
                }
            )
            if len(page) < MAX_POSITIONS:
                break
            after = page[-1].key
            lease.renew()
        self._quotes_until, self._minute = now, minute

    def _store_records(self, records: Mapping[PositionKey, PositionRecord]) -> None:
        if records:
            with unit_of_work(self._engine, ALL_TENANTS) as connection:
                execute_writes(connection, queries.build_record_upsert(records))


def add_records(
    connection: Connection,
    market: Market,
    tenant_id: int,
    marked_positions: Sequence[MarkedPosition],
    now: datetime,
) -> list[MarkedPosition]:
    """Return the positions with their charges, and their extremes up to their mark."""
    keys = {
        marked_position.position.name_key: _build_key(tenant_id, marked_position.position)
        for marked_position in marked_positions
    }
    positions = queries.load_positions_with_records(connection, tenant_id, list(keys.values()))
    missing = [position for position in positions.values() if not position.is_current]
    records = {key: position.record for key, position in positions.items() if position.record is not None}
    records |= compute_records(connection, market, missing, now)
    completed = []
    for marked_position in marked_positions:
        record, extremes = records[keys[marked_position.position.name_key]], None
        if marked_position.position.quantity:
            extremes = extend_extremes(
                record.extremes, record.position, marked_position.mark.price, marked_position.rate
            )
        completed.append(marked_position._replace(charges=record.charges, extremes=extremes))
    return completed


def compute_records(
    connection: Connection, market: Market, positions: Sequence[PositionWithRecord], now: datetime
) -> dict[PositionKey, PositionRecord]:
    """Return the records of positions up to now, by their keys."""
    missing = {
        position.key: position.record.sequence if position.record else 0
        for position in positions
        if not position.is_current
    }
    rows = queries.list_rows_since(connection, missing)
    starts = {
        position.key: _choose_record_to_extend(position.record, rows.get(position.key, []), now)
        for position in positions
    }
    reader = _PriceReader(connection, market, now)
    records = {}
    for instrument_key in sorted({position.key.instrument_key for position in positions}):
        of_symbol = [position for position in positions if position.key.instrument_key == instrument_key]
        since = min(starts[position.key].until for position in of_symbol)
        bars = reader.read_bars(*instrument_key, since)
        for position in of_symbol:
            start, new = starts[position.key], rows.get(position.key, [])
            first = get_bar_start(start.until, Interval.MINUTE)
            ticks = reader.read_ticks(instrument_key, list_precise_minutes(start.until, new))
            position_bars = bars[_find_index(bars, first) :]
            prices = PriceHistory(position_bars, ticks, reader.create_rates(position, since))
            records[position.key] = extend_record(start, new, prices, now)
    return records


class _PriceReader:
    """Reads bars, ticks and exchange rates once per symbol."""

    def __init__(self, connection: Connection, market: Market, now: datetime) -> None:
        self._connection, self._market, self._now = connection, market, now
        self._rates: dict[RateKey, RateAt] = {}
        self._ticks: dict[tuple[int, str, datetime], list[PricePoint]] = {}

    def read_bars(self, tenant_id: int, symbol: str, since: datetime) -> list[Bar]:
        """Return bars from the minute of `since` on: of days first, where that is long ago."""
        first, key = get_bar_start(since, Interval.MINUTE), (self._connection, tenant_id, symbol)
        if self._now - first <= MINUTE_BARS_PERIOD:
            return self._market.read_bars(*key, Interval.MINUTE, first, self._now)
        start = get_bar_start(first, Interval.DAY) + _DAY
        end = get_bar_start(self._now, Interval.DAY) - _DAY
        return [
            *self._market.read_bars(*key, Interval.MINUTE, first, start),
            *self._market.read_bars(*key, Interval.DAY, start, end),
            *self._market.read_bars(*key, Interval.MINUTE, max(start, end), self._now),
        ]

    def read_ticks(self, key: InstrumentKey, minutes: set[datetime]) -> dict[datetime, list[PricePoint]]:
        """Return the ticks of recent minutes."""
        recent = [minute for minute in minutes if self._now - minute <= TICKS_PERIOD]
        return {minute: self._read_minute(key, minute) for minute in recent}

    def create_rates(self, position: PositionWithRecord, since: datetime) -> RateAt:
        """Return the rate of a position's currency by time, or the rate of its cost where none is quoted."""
        if position.currency is None:
            return _get_no_rate
        key = RateKey(position.key.tenant_id, position.currency, position.base_currency)
        if key not in self._rates:
            currency_pairs = list_pairs(position.currency, position.base_currency)
            closes = {
                currency_pair: self.read_bars(position.key.tenant_id, currency_pair, since)
                for currency_pair in currency_pairs
            }
            self._rates[key] = _RateHistory(closes, key.currency, key.base_currency)
        quoted = self._rates[key]
        return lambda at: quoted(at) or position.cost_rate

    def _read_minute(self, key: InstrumentKey, minute: datetime) -> list[PricePoint]:
        name = (*key, minute)
        if name not in self._ticks:
            quotes = list_ticks(self._connection, key, minute, minute + _MINUTE, MAX_TICKS)
            self._ticks[name] = [PricePoint(quote.at, get_traded_price(quote)) for quote in quotes]
        return self._ticks[name]


class _RateHistory:
    """The exchange rate of two currencies by the bars of their pairs."""

    def __init__(self, bars: Mapping[str, list[Bar]], currency: str, base: str) -> None:
        self._bars, self._currency, self._base = bars, currency, base
        self._rates_by_minute: dict[datetime, Decimal | None] = {}

    def __call__(self, at: datetime) -> Decimal | None:
        """Return the rate of the minute of an instant, None if no earlier close is known."""
        minute = get_bar_start(at, Interval.MINUTE)
        if minute not in self._rates_by_minute:
            quotes = {
                currency_pair: _find_close(currency_pair, bars, minute)
                for currency_pair, bars in self._bars.items()
            }
            self._rates_by_minute[minute] = find_rate(self._currency, self._base, quotes)
        return self._rates_by_minute[minute]


def _choose_record_to_extend(
    record: PositionRecord | None, rows: Sequence[LedgerRow], now: datetime
) -> PositionRecord:
    """Return the record to extend: the stored one, or an empty one from the opening of the position on."""
    if record is not None:
        return record
    opened_at, previous = now, ZERO
    for row in rows:
        if previous * row.position.quantity <= 0:
            opened_at = row.at
        previous = row.position.quantity
    until = get_bar_start(opened_at if previous else now, Interval.MINUTE)
    return PositionRecord(0, until, PositionAfterRow(), ZERO, None)


def _is_due(position: PositionWithRecord, updated: PositionRecord) -> bool:
    record = position.record
    if record is None or not position.is_current or updated.until - record.until >= REFRESH_PERIOD:
        return True
    return updated.extremes != record.extremes


def _find_index(bars: Sequence[Bar], start: datetime) -> int:
    return bisect_right(bars, start - timedelta.resolution, key=lambda bar: bar.start)


def _find_close(currency_pair: str, bars: Sequence[Bar], minute: datetime) -> Quote | None:
    index = bisect_right(bars, minute, key=lambda bar: bar.start)
    if not index:
        return None
    return Quote(
        symbol=currency_pair,
        bid=None,
        ask=None,
        last=bars[index - 1].close,
        bid_size=None,
        ask_size=None,
        at=minute,
        source="bar",
    )


def _get_no_rate(_: datetime) -> None:
    return None


def _build_key(tenant_id: int, position: ListedPosition) -> PositionKey:
    return PositionKey(tenant_id, position.portfolio_id, position.symbol, position.product)
