"""Explain the P&L of portfolios' days."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection

from app.instruments.rules import InstrumentKey
from app.ledger.queries.portfolios import (
    PortfolioSummary,
    list_portfolio_summaries,
    load_portfolios_by_name,
)
from app.ledger.rules.equity import CurrencyValue, value_currencies
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.portfolio_statements import PortfolioStatement
from app.ledger.service.valuation import Valuer, list_statement_positions, load_marks, value_statements
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.service import Market
from app.money import ZERO
from app.performance.queries.closes import StoredClose, find_last_close
from app.performance.rules.closes import get_pnl_date, get_pnl_day_start
from app.performance.rules.currencies import parse_currencies
from app.reports import queries
from app.reports.queries import DayBounds, ReportFilter
from app.reports.rules.explanation import (
    NO_EXPLANATION,
    DayEdge,
    ExplainedDay,
    Explanation,
    ExplanationReport,
    choose_end_rate,
    explain_day,
    list_currencies,
)
from app.reports.service.rates import TenantRates
from app.text import name_key

MAX_PORTFOLIOS = 1_000
_DAY = timedelta(days=1)


class _Period(NamedTuple):
    """A day of a portfolio with its edges. It ends at a close, or now if its bounds have no end."""

    start: DayEdge
    end: DayEdge
    bounds: DayBounds
    ended_at: datetime


class ProfitExplainer(NamedTuple):
    """Explains P&L on one snapshot of the database. `now` is the instant of current values."""

    connection: Connection
    market: Market
    valuer: Valuer
    tenant_id: int
    now: datetime

    def explain(self, filters: ReportFilter, day: date | None) -> ExplanationReport:
        """Return the parts of the P&L of a day by portfolio, by default of the current day.

        Portfolios without a close on the date are left out.
        """
        portfolios = list_portfolio_summaries(
            self.connection, self.tenant_id, None, MAX_PORTFOLIOS, None, filters.portfolios
        )
        if filters.portfolio_name_key is not None:
            portfolios = [
                portfolio
                for portfolio in portfolios
                if name_key(portfolio.name) == filters.portfolio_name_key
            ]
        periods = self._list_current(portfolios) if day is None else self._list_closed(portfolios, day)
        days = [
            ExplainedDay(
                portfolio.name, portfolio.base_currency, period.bounds.start, period.ended_at,
                self._explain_period(portfolio, period),
            )
            for portfolio, period in periods
        ]  # fmt: skip
        rates = TenantRates(self.connection, self.market, self.tenant_id, self.now)
        return ExplanationReport(days, rates.base_currency, _convert_total(rates, days), rates.used_rates)

    def explain_close(self, portfolio: PortfolioSummary, close: StoredClose) -> ExplainedDay:
        """Return the parts of the P&L of the day that ended at a close."""
        period = self._build_closed(portfolio, close)
        parts = self._explain_period(portfolio, period)
        return ExplainedDay(portfolio.name, portfolio.base_currency, period.bounds.start, close.at, parts)

    def _list_current(
        self, portfolios: Iterable[PortfolioSummary]
    ) -> Iterable[tuple[PortfolioSummary, _Period]]:
        keys = [name_key(portfolio.name) for portfolio in portfolios]
        portfolios_with_positions = (
            load_portfolios_by_name(self.connection, self.tenant_id, keys) if keys else {}
        )
        statements = {
            key: PortfolioStatement(*summary_and_positions)
            for key, summary_and_positions in portfolios_with_positions.items()
        }
        values = value_statements(self.connection, self.valuer, self.tenant_id, statements, self.now)
        for key, statement in sorted(statements.items()):
            close = find_last_close(self.connection, self.tenant_id, statement.summary.id)
            end = DayEdge(values[key].equity, values[key].flows, self._value_currencies(statement))
            bounds = DayBounds(None if close is None else close.at, None)
            yield statement.summary, _Period(_build_start(statement.summary, close), end, bounds, self.now)

    def _list_closed(
        self, portfolios: Iterable[PortfolioSummary], day: date
    ) -> Iterable[tuple[PortfolioSummary, _Period]]:
        midnight = datetime.combine(day, time(tzinfo=UTC)) + _DAY
        for portfolio in portfolios:
            close = find_last_close(self.connection, self.tenant_id, portfolio.id, midnight)
            if close is not None and get_pnl_date(close.at) == day:
                yield portfolio, self._build_closed(portfolio, close)

    def _build_closed(self, portfolio: PortfolioSummary, close: StoredClose) -> _Period:
        day_start = get_pnl_day_start(close.at)
        previous = find_last_close(self.connection, self.tenant_id, portfolio.id, day_start)
        bounds = DayBounds(None if previous is None else previous.at, close.at)
        return _Period(_build_start(portfolio, previous), _build_edge(close), bounds, close.at)

    def _explain_period(self, portfolio: PortfolioSummary, period: _Period) -> Explanation:
        key = PortfolioKey(self.tenant_id, portfolio.id)
        trades = queries.list_booked_trades(self.connection, *key, period.bounds)
        movements = queries.list_booked_movements(self.connection, *key, period.bounds)
        rates: dict[str, Decimal] = {}
        for currency in list_currencies(period.start, period.end, trades):
            quoted_rate = self._find_rate(currency, portfolio.base_currency, period.bounds.end)
            rate = choose_end_rate(currency, period.end, quoted_rate, trades)
            if rate is not None:
                rates[currency] = rate
        return explain_day(period.start, period.end, rates, trades, movements)

    def _find_rate(self, currency: str, base: str, at: datetime | None) -> Decimal | None:
        keys = [InstrumentKey(self.tenant_id, currency_pair) for currency_pair in list_pairs(currency, base)]
        load_quotes = self.market.load_marks if at is None else self.market.load_past_marks
        quotes = load_quotes(self.connection, keys, at or self.now)
        return find_rate(currency, base, {key.symbol: quote for key, quote in quotes.items()})

    def _value_currencies(self, statement: PortfolioStatement) -> Mapping[str, CurrencyValue]:
        open_positions = [
            position
            for position in list_statement_positions(self.tenant_id, statement)
            if position.currency is not None
        ]
        if not open_positions:
            return {}
        marks = load_marks(self.connection, self.valuer.read_quotes, open_positions, self.now)
        return value_currencies(open_positions, marks)[PortfolioKey(self.tenant_id, statement.summary.id)]


def _build_start(portfolio: PortfolioSummary, close: StoredClose | None) -> DayEdge:
    return DayEdge(Decimal(portfolio.opening_cash), ZERO, {}) if close is None else _build_edge(close)


def _build_edge(close: StoredClose) -> DayEdge:
    return DayEdge(close.equity, close.flows, parse_currencies(close.currencies))


def _convert_total(rates: TenantRates, days: Iterable[ExplainedDay]) -> Explanation | None:
    """Return the sum of the days in the tenant's currency, None if a rate is missing."""
    total = NO_EXPLANATION
    for day in days:
        rate = rates.find_rate(day.currency)
        if rate is None:
            return None
        total = total.add(day.parts.convert(rate.rate))
    return total
