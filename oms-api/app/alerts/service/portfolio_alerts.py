"""Evaluate the alerts of portfolios: a job, so that one process does it at a time."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection, Engine

from app.alerts import queries
from app.alerts.queries import PortfolioAlert, WatchedPortfolio
from app.alerts.rules.conditions import Alert, AlertKind, Transition, find_transition
from app.alerts.rules.portfolio_values import PortfolioFigures, PortfolioLimits, compute_alert_values
from app.alerts.service.firing import record_transitions
from app.clock import Now
from app.database import ALL_TENANTS, snapshot, unit_of_work
from app.jobs.service import Lease
from app.ledger.queries.portfolios import load_portfolios_by_name
from app.ledger.service.portfolio_statements import PortfolioStatement
from app.ledger.service.valuation import Valuer, value_statements
from app.orders.service.batch_state.loss_baselines import read_loss_baselines
from app.risk.rules.limits import LimitSubject
from app.risk.service.controls import Controls

MAX_PORTFOLIOS = 200  # valued by one statement


class PortfolioAlerts:
    """The alerts of portfolios of all tenants."""

    def __init__(self, engine: Engine, valuer: Valuer, now: Now) -> None:
        self._engine, self._valuer, self._now = engine, valuer, now
        self._controls = Controls()

    def check(self, lease: Lease) -> None:
        """Value the portfolios that have alerts, and record the transitions."""
        with snapshot(self._engine, ALL_TENANTS) as connection:
            watched = queries.list_portfolio_alerts(connection, self._now())
        for tenant_id, tenant_alerts in groupby(watched, lambda item: item.portfolio.tenant_id):
            by_portfolio = [list(group) for _, group in groupby(tenant_alerts, attrgetter("portfolio"))]
            for start in range(0, len(by_portfolio), MAX_PORTFOLIOS):
                self._check_portfolios(tenant_id, by_portfolio[start : start + MAX_PORTFOLIOS])
                lease.renew()

    def _check_portfolios(self, tenant_id: int, by_portfolio: Sequence[list[PortfolioAlert]]) -> None:
        now = self._now()
        portfolios = [alerts[0].portfolio for alerts in by_portfolio]
        with snapshot(self._engine, tenant_id) as connection:
            values = self._compute_values(connection, tenant_id, portfolios, now)
        transitions = [
            transition
            for alerts in by_portfolio
            for alert, portfolio in alerts
            if (transition := _find_transition(alert, values.get(portfolio.id, {}), now)) is not None
        ]
        if transitions:
            with unit_of_work(self._engine, tenant_id) as connection:
                names = {portfolio.id: portfolio.name for portfolio in portfolios}
                record_transitions(connection, transitions, now, names)

    def _compute_values(
        self, connection: Connection, tenant_id: int, portfolios: Sequence[WatchedPortfolio], now: datetime
    ) -> dict[int, dict[AlertKind, Decimal]]:
        """Return the values of portfolios by their id."""
        books = load_portfolios_by_name(
            connection, tenant_id, [portfolio.name_key for portfolio in portfolios]
        )
        statements = {book.id: PortfolioStatement(book, positions) for book, positions in books.values()}
        valued = value_statements(connection, self._valuer, tenant_id, statements, now)
        baselines = read_loss_baselines(connection, tenant_id, list(statements))
        self._controls.refresh(connection, [tenant_id], now)
        values = {}
        for portfolio in portfolios:
            value, baseline = valued[portfolio.id], baselines[portfolio.id]
            pnl = max(baseline.peak_pnl, value.equity - baseline.total_equity)
            figures = PortfolioFigures(
                value.equity,
                value.day_pnl,
                baseline.total_equity + pnl,
                value.exposure.gross,
                value.exposure.net,
            )
            values[portfolio.id] = compute_alert_values(figures, self._find_limits(portfolio))
        return values

    def _find_limits(self, portfolio: WatchedPortfolio) -> PortfolioLimits:
        subject = LimitSubject(portfolio.name_key, "", is_live=portfolio.is_live)
        limits = self._controls.get_limits(portfolio.tenant_id, subject)
        return PortfolioLimits(
            limits.max_gross_exposure, limits.max_net_exposure, limits.max_daily_loss, limits.max_drawdown
        )


def _find_transition(alert: Alert, values: dict[AlertKind, Decimal], now: datetime) -> Transition | None:
    value = values.get(alert.kind)
    return None if value is None else find_transition(alert, value, now)
