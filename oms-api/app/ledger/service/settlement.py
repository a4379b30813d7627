"""Compute which cash is settled. A trade settles on the day that the cycle of its market determines."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import Connection

from app.calendars.errors import SessionsUnknown
from app.calendars.rules.values import DayKind, MarketIdentifier, MarketSegment
from app.calendars.service import Calendars
from app.instruments.queries import load_instruments
from app.instruments.rules import Instrument, InstrumentKey
from app.ledger.queries.cash import TradeCash, list_trades_after
from app.ledger.queries.portfolios import PortfolioSummary, load_sequence_at
from app.ledger.rules.keys import PortfolioKey
from app.ledger.rules.settlement import (
    CashTotals,
    SettlementTerms,
    convert_to_local_date,
    get_settlement_market,
)
from app.money import ZERO

_LONGEST_CYCLE = timedelta(days=10)  # from a trade to the next session, over all holidays
_MAX_CACHED = 5_000  # portfolios
# Characters of an instant down to its ten minutes. Such a bucket lies within one local day, since local days
# begin at a full half-hour.
_BUCKET_LENGTH = 15
_NO_AMOUNTS: MappingProxyType[tuple[str, str], Decimal] = MappingProxyType({})


class _RecentTrades(NamedTuple):
    """The cash of a portfolio's newest trades. `sequence` and `hash` belong to the last trade.

    `amounts` are sums by symbol and by the ten minutes in which trades were executed.
    """

    sequence: int
    hash: str
    amounts: MappingProxyType[tuple[str, str], Decimal]


class Settlements:
    """Computes settled cash. One instance serves a process.

    It caches the newest trades of portfolios and reads only those recorded since. Because the ledger is
    append-only, the cached trades are valid while the last one still has the same hash.
    """

    def __init__(self, calendars: Calendars) -> None:
        self._calendars = calendars
        self._recent: dict[PortfolioKey, _RecentTrades] = {}

    def refresh(self, connection: Connection) -> None:
        """Apply the calendar dates that the operator has set. The market watcher also does so."""
        self._calendars.refresh(connection)

    def compute_cash(
        self, connection: Connection, tenant_id: int, summary: PortfolioSummary, now: datetime
    ) -> CashTotals:
        """Return the settled and the unsettled cash of a portfolio."""
        amounts = self._load_amounts(connection, tenant_id, summary, now)
        instruments = load_instruments(
            connection, sorted({InstrumentKey(tenant_id, symbol) for symbol, _ in amounts})
        )
        unsettled = ZERO
        for (symbol, ten_minutes), amount in amounts.items():
            executed_at = datetime.fromisoformat(f"{ten_minutes}0:00Z")
            market = self.get_settlement_market(instruments[InstrumentKey(tenant_id, symbol)], summary)
            if not self.is_settled(market, self.find_settlement(market, executed_at), now):
                unsettled += amount
        return CashTotals(Decimal(summary.cash) - unsettled, unsettled)

    def get_settlement_market(self, instrument: Instrument, summary: PortfolioSummary) -> MarketIdentifier:
        """Return the market whose cycle settles trades of the instrument in the portfolio."""
        currency = instrument.currency if instrument.is_listed else summary.base_currency
        return get_settlement_market(
            SettlementTerms(instrument.exchange, instrument.asset_class, currency, summary.calendar)
        )

    def find_settlement(self, market: MarketIdentifier, executed_at: datetime) -> date | None:
        """Return when a trade settles: on the next session day of its market, for crypto on the same day.

        None where the sessions are not known.
        """
        day = convert_to_local_date(market, executed_at)
        if market is MarketIdentifier.CRYPTO:
            return day
        try:
            days = self._calendars.list_days(
                market, MarketSegment.SHARES, day + timedelta(days=1), day + _LONGEST_CYCLE
            )
        except SessionsUnknown:
            return None
        return next((other.date for other in days if other.kind is not DayKind.HOLIDAY), None)

    def is_settled(self, market: MarketIdentifier, day: date | None, now: datetime) -> bool:
        """Return whether a settlement date has come. An unknown date has not come."""
        return day is not None and day <= convert_to_local_date(market, now)

    def _load_amounts(
        self, connection: Connection, tenant_id: int, summary: PortfolioSummary, now: datetime
    ) -> MappingProxyType[tuple[str, str], Decimal]:
        """Return the amounts of trades that may be unsettled."""
        if not summary.last_sequence:
            return _NO_AMOUNTS
        key = PortfolioKey(tenant_id, summary.id)
        cached = self._recent.get(key)
        if cached is None or (cached.sequence, cached.hash) != (summary.last_sequence, summary.last_hash):
            cached = self._read(connection, tenant_id, summary, now, cached)
            if len(self._recent) >= _MAX_CACHED:
                self._recent.clear()
            self._recent[key] = cached
        first = (now - _LONGEST_CYCLE).isoformat()[:_BUCKET_LENGTH]
        return MappingProxyType(
            {bucket: amount for bucket, amount in cached.amounts.items() if bucket[1] >= first}
        )

    def _read(
        self,
        connection: Connection,
        tenant_id: int,
        summary: PortfolioSummary,
        now: datetime,
        cached: _RecentTrades | None,
    ) -> _RecentTrades:
        """Read the trades after the cached ones, or all recent ones if the cached ones no longer match."""
        if cached is not None and cached.sequence < summary.last_sequence:
            rows = list_trades_after(connection, tenant_id, summary.id, cached.sequence)
            if rows and (rows[0].sequence, rows[0].hash) == (cached.sequence, cached.hash):
                return _add_trades(rows[1:], cached)
        first = load_sequence_at(connection, tenant_id, summary, now - _LONGEST_CYCLE) + 1
        rows = list_trades_after(connection, tenant_id, summary.id, first)
        return _add_trades(rows, _RecentTrades(summary.last_sequence, summary.last_hash, _NO_AMOUNTS))


def _add_trades(rows: list[TradeCash], cached: _RecentTrades) -> _RecentTrades:
    """Return the cached trades with later ones."""
    if not rows:
        return cached
    amounts = dict(cached.amounts)
    for row in rows:
        bucket = (row.symbol, row.executed_at[:_BUCKET_LENGTH])
        amounts[bucket] = amounts.get(bucket, ZERO) + Decimal(row.cash_delta)
    return _RecentTrades(rows[-1].sequence, rows[-1].hash, MappingProxyType(amounts))
