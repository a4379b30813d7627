"""Read the equity curve and the statistics of a portfolio."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from app.calendars.rules.values import MarketIdentifier as MarketCode
from app.ledger.errors import NoSuchPortfolio
from app.ledger.queries.portfolios import load_portfolios_by_name
from app.ledger.queries.positions import PositionFilter
from app.ledger.rules.equity import PortfolioValue
from app.ledger.service.portfolio_statements import PortfolioStatement, compute_total_charges
from app.ledger.service.positions import list_positions_at_marks
from app.ledger.service.valuation import Valuer, list_statement_positions, value_statements
from app.market_data.service import Market
from app.money import ZERO, format_fixed
from app.performance.queries import equity_curves as queries
from app.performance.queries.equity_curves import PortfolioTerms
from app.performance.rules.curves import CurveInterval, CurvePeriod, EquityCurve, extend_curve, prepend_curve
from app.performance.rules.reports import Statistics, summarize_equity
from app.performance.rules.trip_statistics import TripStatistics, summarize_trips
from app.performance.rules.value_at_risk import TailRisk, compute_tail_risk
from app.performance.rules.values import CALENDAR_DAYS_A_YEAR, NO_SERIES, TRADING_DAYS_A_YEAR, EquitySeries
from app.performance.service.ledger_figures import LedgerFigures, TripReader
from app.performance.service.risk import DailyCloses, list_daily_profits
from app.performance.service.snapshot_cache import CachedSnapshots, SnapshotCache, SnapshotRange
from app.text import name_key
from app.timestamps import Timestamp, format_timestamp, parse_timestamp

MAX_POSITIONS = 10_000
STORING_DELAY = timedelta(minutes=1)  # within which a snapshot is stored, except after an outage
_MICROSECOND = timedelta(microseconds=1)
CONFIDENCES = (Decimal("0.95"), Decimal("0.99"))
NO_RISKS: list[TailRisk | None] = [None for _ in CONFIDENCES]  # without positions


class PortfolioCurve(NamedTuple):
    """An equity curve of a portfolio."""

    portfolio: PortfolioTerms
    points: EquityCurve


class PerformanceReport(NamedTuple):
    """The performance of a portfolio.

    `trips` is None if there are too many trades. `risks` has one item for each of CONFIDENCES.
    """

    portfolio: PortfolioTerms
    statistics: Statistics
    trips: TripStatistics | None
    risks: list[TailRisk | None]


class PortfolioValuation(NamedTuple):
    """The value of a portfolio now, the charges paid so far, and whether it has open positions."""

    value: PortfolioValue
    charges: Decimal
    is_invested: bool


class PerformanceReader:
    """Reads curves and statistics. The reports package provides `read_trips`."""

    def __init__(self, market: Market, valuer: Valuer, read_trips: TripReader) -> None:
        self._market = market
        self._valuer = valuer._replace(read_baselines=lambda *_: {})  # the P&L of the day is not needed
        self._figures = LedgerFigures(read_trips)
        self._closes = DailyCloses(market)
        self._curves: SnapshotCache[EquityCurve] = SnapshotCache()
        self._series: SnapshotCache[EquitySeries] = SnapshotCache()

    def read_curve(
        self, connection: Connection, tenant_id: int, name: str, period: CurvePeriod,
        interval: CurveInterval, now: datetime,
    ) -> PortfolioCurve:  # fmt: skip
        """Return the curve of the period until now. Raises NoSuchPortfolio."""
        portfolio = _find_portfolio(connection, tenant_id, name)
        start = portfolio.created_at
        if period.length is not None:
            start = max(now - period.length, start)
        stored_curve = self._read_stored_curve(
            connection, (tenant_id, portfolio.id), SnapshotRange(start, now), interval
        )
        if start == portfolio.created_at:
            opening = _build_point(portfolio.created_at, portfolio.opening_cash, ZERO)
            stored_curve = prepend_curve(opening, stored_curve, interval)
        value = self._value_now(connection, tenant_id, portfolio, now).value
        current = _build_point(now, value.equity, value.flows)
        return PortfolioCurve(portfolio, EquityCurve._make(map(list.__add__, stored_curve, current)))

    def read_report(
        self, connection: Connection, tenant_id: int, name: str, since: datetime | None,
        until: datetime | None, now: datetime,
    ) -> PerformanceReport:  # fmt: skip
        """Return the statistics of a period, by default from the opening until now.

        Raises NoSuchPortfolio.
        """
        portfolio, end = _find_portfolio(connection, tenant_id, name), min(until or now, now)
        start = _build_opening(portfolio)
        if since is not None:
            equity_series = queries.find_last_snapshot(connection, tenant_id, portfolio.id, since)
            start = equity_series if equity_series.instants else start
        series = start.concatenate(
            self._read_closes_and_flows(connection, (tenant_id, portfolio.id), start.instants[0], end)
        )
        current = self._value_now(connection, tenant_id, portfolio, now)
        if until is None or until >= now:
            series = series.concatenate(_build_row(current, now))
        started_at = parse_timestamp(start.instants[0])
        # The first trade may create the portfolio at the same instant, so it is included. The trades at the
        # instant of a close are part of that close.
        first = started_at if started_at > portfolio.created_at else started_at - _MICROSECOND
        traded_values = self._figures.list_traded_values(connection, tenant_id, portfolio, first, end)
        trip_pnls = self._figures.list_trips(connection, tenant_id, portfolio, since or started_at, end)
        risks = (
            self._compute_risks(connection, tenant_id, portfolio, now) if current.is_invested else NO_RISKS
        )
        return PerformanceReport(
            portfolio,
            summarize_equity(series, traded_values, _get_days_a_year(portfolio)),
            None if trip_pnls is None else summarize_trips(trip_pnls),
            risks,
        )

    def _read_stored_curve(
        self, connection: Connection, key: tuple[int, int], period: SnapshotRange, interval: CurveInterval
    ) -> EquityCurve:
        """Return the stored points of a range, thinned. Only those that are not in memory are read.

        Points are kept in memory once they are older than STORING_DELAY, since one may be stored late.
        """
        closes, cacheable_until = interval is CurveInterval.DAY, period.until - STORING_DELAY
        cached_snapshots = self._curves.find(
            (*key, interval), period, partial(_count_snapshots, connection, key, closes)
        )
        if cached_snapshots is None:
            cached_snapshots = CachedSnapshots(
                SnapshotRange(period.since, period.since), EquityCurve([], [], []), 0
            )
        (since, until), curve, stored_count = cached_snapshots
        read_curve = queries.read_equity_curve(
            connection, *key, until, period.until, closes=closes, after_start=until > since
        )
        cacheable_points, newer = read_curve.split_after(format_timestamp(cacheable_until))
        curve = extend_curve(curve, cacheable_points, interval)
        if cacheable_until > until:
            cached_range = SnapshotRange(since, cacheable_until)
            self._curves.put(
                (*key, interval),
                CachedSnapshots(cached_range, curve, stored_count + len(cacheable_points.instants)),
            )
        return extend_curve(curve, newer, interval).select_since(format_timestamp(period.since))

    def _read_closes_and_flows(
        self, connection: Connection, key: tuple[int, int], start: Timestamp, end: datetime
    ) -> EquitySeries:
        """Return the closes and flows in (start, end]. Only those that are not in memory are read."""
        period, cacheable_until = SnapshotRange(parse_timestamp(start), end), end - STORING_DELAY
        count = partial(_count_snapshots, connection, key, True)
        cached_snapshots = self._series.find((*key, start), period, count)
        if cached_snapshots is None:
            cached_snapshots = CachedSnapshots(SnapshotRange(period.since, period.since), NO_SERIES, 0)
        (since, until), series, _ = cached_snapshots
        read_series = queries.list_closes_and_flows(connection, *key, format_timestamp(until), end)
        series = series.concatenate(read_series)
        if (
            read_series.instants
            and cacheable_until > until
            and read_series.instants[-1] <= format_timestamp(cacheable_until)
        ):
            cached_range = SnapshotRange(since, cacheable_until)
            self._series.put((*key, start), CachedSnapshots(cached_range, series, count(cached_range)))
        return series

    def _value_now(
        self, connection: Connection, tenant_id: int, portfolio: PortfolioTerms, now: datetime
    ) -> PortfolioValuation:
        key = name_key(portfolio.name)
        statement = PortfolioStatement(*load_portfolios_by_name(connection, tenant_id, [key])[key])
        values = value_statements(connection, self._valuer, tenant_id, {portfolio.id: statement}, now)
        is_invested = any(True for _ in list_statement_positions(tenant_id, statement))
        return PortfolioValuation(values[portfolio.id], compute_total_charges(statement), is_invested)

    def _compute_risks(
        self, connection: Connection, tenant_id: int, portfolio: PortfolioTerms, now: datetime
    ) -> list[TailRisk | None]:
        filters = PositionFilter(portfolio_name_key=name_key(portfolio.name))
        positions = list_positions_at_marks(connection, self._market, tenant_id, filters, now, MAX_POSITIONS)
        profits = list_daily_profits(connection, self._closes, tenant_id, positions, now)
        return [compute_tail_risk(profits, confidence) for confidence in CONFIDENCES]


def _count_snapshots(
    connection: Connection, key: tuple[int, int], closes: bool, counted: SnapshotRange
) -> int:
    return queries.count_snapshots(connection, *key, *counted, closes=closes)


def _find_portfolio(connection: Connection, tenant_id: int, name: str) -> PortfolioTerms:
    portfolio = queries.find_portfolio_terms(connection, tenant_id, name_key(name))
    if portfolio is None:
        raise NoSuchPortfolio(name)
    return portfolio


def _build_point(at: datetime, equity: Decimal, flows: Decimal) -> EquityCurve:
    """Return a curve of one point."""
    return EquityCurve([format_timestamp(at)], [format_fixed(equity)], [format_fixed(flows)])


def _build_row(valuation: PortfolioValuation, at: datetime) -> EquitySeries:
    value = valuation.value
    return EquitySeries(
        [format_timestamp(at)],
        [float(value.equity)],
        [float(value.flows)],
        [False],
        [float(value.exposure.gross)],
        [format_fixed(valuation.charges)],
    )


def _get_days_a_year(portfolio: PortfolioTerms) -> int:
    is_continuous = portfolio.calendar in {None, MarketCode.CRYPTO}
    return CALENDAR_DAYS_A_YEAR if is_continuous else TRADING_DAYS_A_YEAR


def _build_opening(portfolio: PortfolioTerms) -> EquitySeries:
    opening_cash = float(portfolio.opening_cash)
    return EquitySeries(
        [format_timestamp(portfolio.created_at)], [opening_cash], [0.0], [True], [0.0], [format_fixed(ZERO)]
    )
