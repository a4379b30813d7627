"""Compute reports on one snapshot of the database."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from heapq import nlargest

from sqlalchemy import Connection

from app.identity.queries.tenants import get_base_currency
from app.instruments.queries import find_symbol
from app.ledger.queries.positions import PositionFilter
from app.ledger.service.positions import list_positions_at_marks
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.service import Market
from app.money import ZERO, product
from app.reports import queries
from app.reports.queries import ReportFilter
from app.reports.rules.lots import Lots, match_lots
from app.reports.rules.profit import (
    Converted,
    DayKey,
    Grouping,
    GroupKey,
    GroupResult,
    ProfitReport,
    Totals,
    UsedRate,
    sum_by,
    sum_days,
)
from app.reports.rules.round_trips import RoundTrip, list_round_trips

MAX_POSITIONS = 100_000


def report_profit(
    connection: Connection,
    market: Market,
    tenant_id: int,
    grouping: Grouping,
    filters: ReportFilter,
    now: datetime,
) -> ProfitReport:
    """Return the P&L of the period by group.

    Open positions are valued now, so the unrealised P&L is only told for portfolios and symbols, and only if
    the period reaches until now.
    """
    filters = _resolve(connection, tenant_id, filters)
    rows = queries.booked_rows(connection, tenant_id, filters, with_strategies=grouping is Grouping.STRATEGY)
    sums = sum_by(grouping, rows)
    is_valued = grouping in {Grouping.PORTFOLIO, Grouping.SYMBOL} and (
        filters.until is None or filters.until >= now
    )
    open_pnl = _unrealized(connection, market, tenant_id, grouping, filters, now) if is_valued else None
    keys = sorted(
        {*sums, *(open_pnl or {})}, key=lambda key: (key.name is None, key.name or "", key.currency)
    )
    groups = [
        GroupResult(key, sums.get(key, Totals()), None if open_pnl is None else open_pnl.get(key, ZERO))
        for key in keys
    ]
    return ProfitReport(groups, _convert(connection, market, tenant_id, groups, now))


def report_days(connection: Connection, tenant_id: int, filters: ReportFilter) -> dict[DayKey, Totals]:
    """Return the statistics of each portfolio and day of the period."""
    filters = _resolve(connection, tenant_id, filters)
    return sum_days(queries.booked_rows(connection, tenant_id, filters))


def report_round_trips(
    connection: Connection, tenant_id: int, filters: ReportFilter, limit: int, skip: int
) -> list[RoundTrip]:
    """Return the round trips that closed in the period, the latest first."""
    found = nlargest(skip + limit, _round_trips(connection, tenant_id, filters), key=_closing)
    return found[skip:]


def list_trip_results(
    connection: Connection, tenant_id: int, portfolio_key: str, since: datetime, until: datetime
) -> list[Decimal]:
    """Return what each round trip of a portfolio earned, net of charges, that closed in [since, until)."""
    filters = ReportFilter(portfolio_key, since=since, until=until)
    return [trip.net_pnl for trip in _round_trips(connection, tenant_id, filters)]


def report_lots(connection: Connection, tenant_id: int, filters: ReportFilter) -> Iterator[Lots]:
    """Yield the lots of each position."""
    resolved = _resolve(connection, tenant_id, filters)
    for key, fills in queries.unreversed_fills(connection, tenant_id, resolved):
        yield match_lots(key, fills)


def _round_trips(connection: Connection, tenant_id: int, filters: ReportFilter) -> Iterator[RoundTrip]:
    filters = _resolve(connection, tenant_id, filters)
    for key, fills in queries.unreversed_fills(connection, tenant_id, filters):
        for trip in list_round_trips(key, fills):
            closed_at = datetime.fromisoformat(trip.closed_at)
            is_late = filters.until is not None and closed_at >= filters.until
            if not is_late and (filters.since is None or closed_at >= filters.since):
                yield trip


def _closing(trip: RoundTrip) -> tuple[str, str]:
    return (trip.closed_at, trip.closing_trade_id)


def _resolve(connection: Connection, tenant_id: int, filters: ReportFilter) -> ReportFilter:
    if filters.symbol is None:
        return filters
    return replace(filters, symbol=find_symbol(connection, tenant_id, filters.symbol))


def _unrealized(
    connection: Connection,
    market: Market,
    tenant_id: int,
    grouping: Grouping,
    filters: ReportFilter,
    now: datetime,
) -> Mapping[GroupKey, Decimal]:
    wanted = PositionFilter(filters.portfolio_key, filters.symbol, portfolios=filters.portfolios)
    sums: defaultdict[GroupKey, Decimal] = defaultdict(lambda: ZERO)
    for one in list_positions_at_marks(connection, market, tenant_id, wanted, now, MAX_POSITIONS):
        name = one.held.portfolio_name if grouping is Grouping.PORTFOLIO else one.held.symbol
        sums[GroupKey(name, one.held.base_currency)] += one.valuation.unrealized_pnl
    return sums


def _convert(
    connection: Connection, market: Market, tenant_id: int, groups: Iterable[GroupResult], now: datetime
) -> Converted | None:
    """Return the sum of the groups in the tenant's currency, None if a rate is missing."""
    base = get_base_currency(connection, tenant_id)
    rates: dict[str, UsedRate] = {}
    realized = charges = ZERO
    unrealized: Decimal | None = None
    for group in groups:
        currency = group.key.currency
        if currency not in rates:
            rate = _find_rate(connection, market, tenant_id, currency, base, now)
            if rate is None:
                return None
            rates[currency] = rate
        factor = rates[currency].rate
        realized += product(group.totals.realized_pnl, factor)
        charges += product(group.totals.charges, factor)
        if group.unrealized_pnl is not None:
            unrealized = (unrealized or ZERO) + product(group.unrealized_pnl, factor)
    used = [rate for currency, rate in sorted(rates.items()) if currency != base]
    return Converted(base, realized, unrealized, charges, used)


def _find_rate(
    connection: Connection, market: Market, tenant_id: int, currency: str, base: str, now: datetime
) -> UsedRate | None:
    if currency == base:
        return UsedRate(currency, Decimal(1), 0.0)
    pairs = list_pairs(currency, base)
    found = market.quotes_for(connection, [(tenant_id, pair) for pair in pairs], now)
    quotes = {symbol: quote for (_, symbol), quote in found.items()}
    rate = find_rate(currency, base, quotes)
    if rate is None:
        return None
    direct = [quotes[pair].at for pair in pairs[:2] if pair in quotes]
    oldest = min(direct or [quote.at for quote in quotes.values()])
    return UsedRate(currency, rate, round(max((now - oldest).total_seconds(), 0.0), 3))
