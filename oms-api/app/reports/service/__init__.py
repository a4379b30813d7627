"""Compute reports on one snapshot of the database."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from heapq import nlargest

from sqlalchemy import Connection

from app.instruments.queries import load_instruments, load_symbol
from app.instruments.rules import InstrumentKey
from app.ledger.queries.positions import PositionFilter
from app.ledger.service.positions import list_positions_at_marks
from app.market_data.service import Market
from app.money import ZERO, multiply
from app.performance.rules.trip_statistics import ClosedTrip
from app.reports import queries
from app.reports.queries import ReportFilter
from app.reports.rules.exposure import ExposureGrouping, ExposureReport, HeldValue, sum_exposure
from app.reports.rules.lots import Lots, match_lots
from app.reports.rules.profit import (
    ConvertedTotal,
    DayReport,
    Grouping,
    GroupKey,
    GroupResult,
    ProfitReport,
    ProfitTotals,
    sum_by,
)
from app.reports.rules.round_trips import RoundTrip, list_round_trips
from app.reports.service.daily_stats import read_days
from app.reports.service.rates import TenantRates

MAX_POSITIONS = 100_000


def build_profit_report(
    connection: Connection,
    tenant_id: int,
    market: Market,
    grouping: Grouping,
    filters: ReportFilter,
    now: datetime,
) -> ProfitReport:
    """Return the P&L of the period by group.

    Open positions are valued now, so the unrealized P&L is only reported for portfolios and symbols, and only
    if the period lasts until now.
    """
    filters = _resolve_symbol(connection, tenant_id, filters)
    rows = queries.iterate_booked_rows(
        connection, tenant_id, filters, with_strategies=grouping is Grouping.STRATEGY
    )
    sums = sum_by(grouping, rows)
    is_valued = grouping in {Grouping.PORTFOLIO, Grouping.SYMBOL} and (
        filters.until is None or filters.until >= now
    )
    open_pnl = (
        _sum_unrealized_pnl(connection, market, tenant_id, grouping, filters, now) if is_valued else None
    )
    keys = sorted(
        {*sums, *(open_pnl or {})}, key=lambda key: (key.name is None, key.name or "", key.currency)
    )
    groups = [
        GroupResult(key, sums.get(key, ProfitTotals()), None if open_pnl is None else open_pnl.get(key, ZERO))
        for key in keys
    ]
    return ProfitReport(groups, _convert_total(TenantRates(connection, market, tenant_id, now), groups))


def build_exposure_report(
    connection: Connection,
    tenant_id: int,
    market: Market,
    grouping: ExposureGrouping,
    filters: ReportFilter,
    now: datetime,
) -> ExposureReport:
    """Return the exposure of open positions by group, in the tenant's currency."""
    filters = _resolve_symbol(connection, tenant_id, filters)
    position_filter = PositionFilter(
        filters.portfolio_name_key, filters.symbol, portfolios=filters.portfolios
    )
    marked_positions = list_positions_at_marks(
        connection, market, tenant_id, position_filter, now, MAX_POSITIONS
    )
    symbols = {marked_position.position.symbol for marked_position in marked_positions}
    terms = load_instruments(connection, [InstrumentKey(tenant_id, symbol) for symbol in sorted(symbols)])
    rates = TenantRates(connection, market, tenant_id, now)
    values = []
    for marked_position in marked_positions:
        position = marked_position.position
        rate = rates.find_rate(position.base_currency)
        if rate is not None:
            instrument = terms[InstrumentKey(tenant_id, position.symbol)]
            currency = position.currency or position.base_currency
            kind = (currency, instrument.asset_class, instrument.sector)
            value = multiply(marked_position.valuation.market_value, rate.rate)
            values.append(HeldValue(position.portfolio_name, position.symbol, *kind, value))
    return ExposureReport(
        rates.base_currency, sum_exposure(grouping, values), rates.used_rates, rates.missing_currencies
    )


def build_day_report(
    connection: Connection, tenant_id: int, market: Market, filters: ReportFilter, now: datetime
) -> DayReport:
    """Return the statistics of each portfolio and day of the period, with the current rates."""
    filters = _resolve_symbol(connection, tenant_id, filters)
    days = read_days(connection, tenant_id, filters)
    rates = TenantRates(connection, market, tenant_id, now)
    optional_rates = {currency: rates.find_rate(currency) for currency in {key.currency for key in days}}
    known_rates = {currency: rate for currency, rate in optional_rates.items() if rate is not None}
    return DayReport(days, rates.base_currency, known_rates)


def read_round_trips(
    connection: Connection, tenant_id: int, filters: ReportFilter, limit: int, skip: int
) -> list[RoundTrip]:
    """Return the round trips that closed in the period, the latest first."""
    round_trips = nlargest(
        skip + limit, _iterate_round_trips(connection, tenant_id, filters), key=_get_closing_order
    )
    return round_trips[skip:]


def list_closed_trips(connection: Connection, tenant_id: int, portfolio_name_key: str) -> list[ClosedTrip]:
    """Return the round trips of a portfolio that closed."""
    trips = _iterate_round_trips(connection, tenant_id, ReportFilter(portfolio_name_key))
    return [ClosedTrip(datetime.fromisoformat(trip.closed_at), trip.net_pnl) for trip in trips]


def iterate_lots(connection: Connection, tenant_id: int, filters: ReportFilter) -> Iterator[Lots]:
    """Yield the lots of each position, one position at a time."""
    resolved = _resolve_symbol(connection, tenant_id, filters)
    for key, steps in queries.iterate_unreversed_steps(connection, tenant_id, resolved):
        yield match_lots(key, steps)


def _iterate_round_trips(
    connection: Connection, tenant_id: int, filters: ReportFilter
) -> Iterator[RoundTrip]:
    filters = _resolve_symbol(connection, tenant_id, filters)
    for key, steps in queries.iterate_unreversed_steps(connection, tenant_id, filters):
        for trip in list_round_trips(key, steps):
            closed_at = datetime.fromisoformat(trip.closed_at)
            is_late = filters.until is not None and closed_at >= filters.until
            if not is_late and (filters.since is None or closed_at >= filters.since):
                yield trip


def _get_closing_order(trip: RoundTrip) -> tuple[str, str]:
    return (trip.closed_at, trip.closing_trade_id)


def _resolve_symbol(connection: Connection, tenant_id: int, filters: ReportFilter) -> ReportFilter:
    if filters.symbol is None:
        return filters
    return replace(filters, symbol=load_symbol(connection, tenant_id, filters.symbol))


def _sum_unrealized_pnl(
    connection: Connection,
    market: Market,
    tenant_id: int,
    grouping: Grouping,
    filters: ReportFilter,
    now: datetime,
) -> Mapping[GroupKey, Decimal]:
    position_filter = PositionFilter(
        filters.portfolio_name_key, filters.symbol, portfolios=filters.portfolios
    )
    sums: defaultdict[GroupKey, Decimal] = defaultdict(lambda: ZERO)
    for marked_position in list_positions_at_marks(
        connection, market, tenant_id, position_filter, now, MAX_POSITIONS
    ):
        position = marked_position.position
        name = position.portfolio_name if grouping is Grouping.PORTFOLIO else position.symbol
        sums[GroupKey(name, position.base_currency)] += marked_position.valuation.unrealized_pnl
    return sums


def _convert_total(rates: TenantRates, groups: Iterable[GroupResult]) -> ConvertedTotal | None:
    """Return the sum of the groups in the tenant's currency, None if a rate is missing."""
    realized_pnl = charges = ZERO
    unrealized: Decimal | None = None
    for group in groups:
        rate = rates.find_rate(group.key.currency)
        if rate is None:
            return None
        realized_pnl += multiply(group.totals.realized_pnl, rate.rate)
        charges += multiply(group.totals.charges, rate.rate)
        if group.unrealized_pnl is not None:
            unrealized = (unrealized or ZERO) + multiply(group.unrealized_pnl, rate.rate)
    return ConvertedTotal(rates.base_currency, realized_pnl, unrealized, charges, rates.used_rates)
