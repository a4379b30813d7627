"""The export of risk: how much of its limits each portfolio uses now."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection

from app.exports.queries import ExportFilter
from app.exports.rules.columns import RISK_COLUMNS
from app.exports.service.pages import ExportContext, ExportSource, Page
from app.ledger.queries.portfolios import list_portfolio_summaries, load_portfolios_by_name
from app.ledger.rules.equity import PortfolioValue
from app.ledger.service.portfolio_statements import PortfolioStatement
from app.ledger.service.valuation import Valuer, value_statements
from app.money import divide, format_money, format_optional_money
from app.risk.rules.limits import LimitSubject
from app.risk.service.controls import Controls
from app.text import name_key

MAX_PORTFOLIOS = 1_000


class ValuedPortfolio(NamedTuple):
    """A portfolio with its current value."""

    statement: PortfolioStatement
    value: PortfolioValue


def build_risk_export(context: ExportContext) -> ExportSource:
    """Return the export of equity, exposure, P&L and limits by portfolio, in one page. It has no period."""
    filters = context.filters

    def read_page(connection: Connection, _position: None, _limit: int) -> Page:
        portfolios = value_portfolios(connection, context.valuer, filters, context.at)
        return Page(list(_list_rows(connection, filters.tenant_id, portfolios, context.at)), None)

    return ExportSource(RISK_COLUMNS, read_page)


def value_portfolios(
    connection: Connection, valuer: Valuer, filters: ExportFilter, at: datetime
) -> dict[str, ValuedPortfolio]:
    """Return the portfolios of the filter by name, at most MAX_PORTFOLIOS, with their values at the time."""
    visible = filters.portfolios
    if filters.portfolio_name_key is not None:
        key = frozenset({filters.portfolio_name_key})
        visible = key if visible is None else visible & key
    summaries = list_portfolio_summaries(connection, filters.tenant_id, None, MAX_PORTFOLIOS, None, visible)
    keys = [name_key(summary.name) for summary in summaries]
    statements = {
        summary.id: PortfolioStatement(summary, positions)
        for summary, positions in load_portfolios_by_name(connection, filters.tenant_id, keys).values()
    }
    values = value_statements(connection, valuer, filters.tenant_id, statements, at)
    return {
        statement.summary.name: ValuedPortfolio(statement, values[portfolio_id])
        for portfolio_id, statement in statements.items()
    }


def _list_rows(
    connection: Connection, tenant_id: int, portfolios: Mapping[str, ValuedPortfolio], at: datetime
) -> Iterator[list[str | None]]:
    controls = Controls()
    controls.refresh(connection, [tenant_id], at)
    for name, (statement, value) in sorted(portfolios.items()):
        limits = controls.get_limits(tenant_id, LimitSubject(name_key(name), "", is_live=False))
        uses = (
            (value.exposure.gross, limits.max_gross_exposure),
            (abs(value.exposure.net), limits.max_net_exposure),
            (max(-value.day_pnl, Decimal(0)), limits.max_daily_loss),
        )
        amounts = (
            value.equity, value.exposure.gross, limits.max_gross_exposure, value.exposure.net,
            limits.max_net_exposure, value.day_pnl, limits.max_daily_loss,
        )  # fmt: skip
        texts = [format_optional_money(amount) for amount in amounts]
        yield [name, statement.summary.base_currency, *texts, *(_format_used_percent(*use) for use in uses)]


def _format_used_percent(used_amount: Decimal, limit: Decimal | None) -> str | None:
    return format_money(divide(used_amount * 100, limit)) if limit else None
