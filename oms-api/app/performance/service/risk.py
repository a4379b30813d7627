"""Value at risk of the current positions by the daily closes of their symbols."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import NamedTuple

from sqlalchemy import Connection

from app.clock import EPOCH
from app.instruments.rules import InstrumentKey
from app.ledger.rules.marks import MarkedPosition
from app.market_data.rules.bars import Interval, get_bar_start
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.money import ZERO, multiply_exactly
from app.performance.rules.value_at_risk import MAX_DAYS, align_closes, compute_daily_profits

# Weekends and holidays have no bar: these calendar days hold MAX_DAYS trading days.
_LOOKBACK = timedelta(days=MAX_DAYS * 3 // 2)
_MAX_CACHED = 2_000

ClosesByDate = Mapping[date, Decimal]


class _CachedCloses(NamedTuple):
    day: datetime
    closes: ClosesByDate


class DailyCloses:
    """The daily closes of symbols, read once a day. Thread-safe."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._lock = Lock()
        self._closes_by_key: dict[InstrumentKey, _CachedCloses] = {}

    def read(self, connection: Connection, tenant_id: int, symbol: str, now: datetime) -> ClosesByDate:
        """Return the closes of the days before today, by date."""
        today = get_bar_start(now, Interval.DAY)
        key = InstrumentKey(tenant_id, symbol)
        with self._lock:
            cached = self._closes_by_key.get(key)
        if cached is not None and cached.day == today:
            return cached.closes
        bars = self._market.read_bars(connection, tenant_id, symbol, Interval.DAY, today - _LOOKBACK, today)
        closes = {bar.start.date(): bar.close for bar in bars}
        with self._lock:
            if len(self._closes_by_key) >= _MAX_CACHED:
                self._closes_by_key.clear()
            self._closes_by_key[key] = _CachedCloses(today, closes)
        return closes


def list_daily_profits(
    connection: Connection,
    closes: DailyCloses,
    tenant_id: int,
    marked_positions: Sequence[MarkedPosition],
    now: datetime,
) -> list[Decimal]:
    """Return the hypothetical P&L of the positions on each of the last days, in the portfolio's currency."""
    values: dict[str, Decimal] = {}
    by_symbol: dict[str, ClosesByDate] = {}
    for position, _, valuation, *_ in marked_positions:
        symbol = position.symbol
        values[symbol] = values.get(symbol, ZERO) + valuation.market_value
        if symbol in by_symbol:
            continue
        local = closes.read(connection, tenant_id, symbol, now)
        if position.currency is not None:
            pairs = {
                currency_pair: closes.read(connection, tenant_id, currency_pair, now)
                for currency_pair in list_pairs(position.currency, position.base_currency)
            }
            local = _convert_closes(local, pairs, position.currency, position.base_currency)
        by_symbol[symbol] = local
    return compute_daily_profits(values, align_closes(by_symbol))


def _convert_closes(
    local: ClosesByDate, pairs: Mapping[str, ClosesByDate], currency: str, base: str
) -> ClosesByDate:
    """Return closes in another currency, at the rate of each day. Days without a rate are left out."""
    converted = {}
    for day, close in local.items():
        quotes = {
            currency_pair: _build_quote(currency_pair, prices.get(day))
            for currency_pair, prices in pairs.items()
        }
        rate = find_rate(currency, base, quotes)
        if rate is not None:
            converted[day] = multiply_exactly(close, rate)
    return converted


def _build_quote(currency_pair: str, close: Decimal | None) -> Quote | None:
    if close is None:
        return None
    return Quote(
        currency_pair, bid=None, ask=None, last=close, bid_size=None, ask_size=None, at=EPOCH, source="bar"
    )
