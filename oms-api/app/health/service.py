"""Read the figures of the metrics: states of background jobs, backlogs, and values of portfolios."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection

from app.chain_verification.queries import ChainState, read_chain_state
from app.chain_verification.service import VERIFY_CHAINS
from app.database import set_all_tenants_scope, set_tenant_scope
from app.identity.queries.tenants import find_tenant
from app.jobs.rules.schedule import JobReport
from app.ledger.queries.portfolios import load_portfolios_by_name
from app.ledger.rules.equity import PortfolioValue
from app.ledger.service.portfolio_statements import PortfolioStatement
from app.ledger.service.valuation import Valuer, value_statements
from app.metrics import Metrics
from app.sandbox.rules.layers import Layer
from app.sandbox.service.check import list_available_layers
from app.signals.models import IS_RECEIVED
from app.signals.queries.signals import SIGNALS
from app.text import name_key
from app.webhooks.models import IS_PENDING
from app.webhooks.queries.deliveries import DELIVERIES


class PortfolioGauges(NamedTuple):
    """A portfolio with its current value, in its currency."""

    tenant: str
    name: str
    currency: str
    value: PortfolioValue


@cache
def find_sandbox_layers() -> tuple[Layer, ...]:
    """Return the layers of protection that this machine offers to strategies. It is checked once."""
    return tuple(list_available_layers())


def list_portfolio_values(
    connection: Connection, valuer: Valuer, names: Mapping[str, Sequence[str]], at: datetime
) -> list[PortfolioGauges]:
    """Return the portfolios that exist of these names, which are listed by the slug of their tenant."""
    portfolio_values = []
    for slug, portfolio_names in names.items():
        tenant = find_tenant(connection, slug)
        if tenant is None:
            continue
        set_tenant_scope(connection, [tenant.id])
        books = load_portfolios_by_name(connection, tenant.id, [name_key(name) for name in portfolio_names])
        statements = {book.id: PortfolioStatement(book, positions) for book, positions in books.values()}
        values = value_statements(connection, valuer, tenant.id, statements, at)
        portfolio_values += [
            PortfolioGauges(slug, statement.summary.name, statement.summary.base_currency, values[number])
            for number, statement in statements.items()
        ]
    return portfolio_values


def set_job_metrics(metrics: Metrics, reports: Iterable[JobReport]) -> None:
    """Set the metrics of the background jobs."""
    for report in reports:
        state = report.state
        metrics.set_job(
            state.name,
            report.lag_seconds,
            (state.duration_ms or 0) / 1000,
            has_failed=state.error is not None,
        )


def find_chain_report(reports: Iterable[JobReport]) -> JobReport | None:
    """Return the report of the job that verifies the hash chains."""
    return next((report for report in reports if report.state.name == VERIFY_CHAINS), None)


def read_broken_chains(connection: Connection) -> ChainState:
    """Return how many hash chains of all tenants are verified, and how many are broken."""
    return read_chain_state(set_all_tenants_scope(connection))


def set_chain_metrics(metrics: Metrics, reports: Iterable[JobReport], state: ChainState) -> None:
    """Set the metrics of the hash chains."""
    report = find_chain_report(reports)
    verified_at = None if report is None else report.state.finished_at
    metrics.chains.set_state(0.0 if verified_at is None else verified_at.timestamp(), state.broken)


def count_pending(connection: Connection) -> dict[str, int]:
    """Return the numbers of pending signals and webhook deliveries of all tenants."""
    set_all_tenants_scope(connection)
    return {
        "signals": SIGNALS.count(connection, IS_RECEIVED),
        "webhook_deliveries": DELIVERIES.count(connection, IS_PENDING),
    }
