"""The exports by name."""

from collections.abc import Callable

from sqlalchemy import Connection

from app.exports import queries
from app.exports.queries import ExportFilter
from app.exports.rules.columns import (
    CASH_COLUMNS,
    ORDER_COLUMNS,
    PNL_COLUMNS,
    POSITION_COLUMNS,
    TRADE_COLUMNS,
)
from app.exports.rules.tables import select_values
from app.exports.service.charges import build_charge_export
from app.exports.service.pages import ExportContext, ExportSource, LinesPage, Page
from app.exports.service.risk import build_risk_export
from app.ledger.queries.cash import CashCursor
from app.ledger.queries.portfolios import (
    PortfolioSummary,
    list_portfolio_summaries,
    load_portfolios_by_name,
)
from app.ledger.queries.positions import PositionFilter
from app.ledger.routes.marked_positions import serialize_marked_position
from app.ledger.service.cash_statement import list_cash_rows
from app.ledger.service.positions import add_exit_prices, list_positions_at_marks
from app.orders.queries.order_views import OrderFilter, list_orders
from app.orders.rules.order_views import OrderView
from app.orders.schemas.responses import serialize_order
from app.reports.queries import ReportFilter
from app.reports.schemas.responses import serialize_days
from app.reports.service import build_day_report
from app.text import name_key
from app.timestamps import format_timestamp


def build_trade_export(context: ExportContext) -> ExportSource:
    """Return the export of trades, newest first."""

    def read_page(connection: Connection, position: str | None, limit: int) -> Page:
        rows = queries.list_trades(connection, context.filters, limit, position)
        return Page(rows, rows[-1][0] if len(rows) == limit else None)

    def read_lines(connection: Connection, position: str | None, limit: int) -> LinesPage | None:
        trade_lines = queries.read_trade_lines(connection, context.filters, limit, position)
        if trade_lines is None:
            return None
        return LinesPage(
            trade_lines.text,
            trade_lines.row_count,
            trade_lines.last_id if trade_lines.row_count == limit else None,
        )

    return ExportSource(TRADE_COLUMNS, read_page, read_lines)


def build_order_export(context: ExportContext) -> ExportSource:
    """Return the export of orders, newest first. Child orders are separate rows."""
    filters = context.filters
    order_filter = OrderFilter(
        portfolio_name_key=filters.portfolio_name_key,
        since=filters.since,
        until=filters.until,
        portfolios=filters.portfolios,
    )

    def read_page(connection: Connection, position: str | None, limit: int) -> Page:
        orders = list_orders(connection, filters.tenant_id, order_filter, limit, position)
        items = [serialize_order(OrderView(*order)) for order in orders]
        for item in items:
            item["denial_code"] = item["denial"] and item["denial"]["code"]
        rows = select_values(ORDER_COLUMNS, items)
        return Page(rows, orders[-1].order.id if len(orders) == limit else None)

    return ExportSource(ORDER_COLUMNS, read_page)


def build_position_export(context: ExportContext) -> ExportSource:
    """Return the export of open positions by portfolio and symbol; the period limits their last trades."""
    filters = context.filters
    position_filter = PositionFilter(filters.portfolio_name_key, portfolios=filters.portfolios)

    def read_page(connection: Connection, position: tuple[str, str, str] | None, limit: int) -> Page:
        tenant_id = filters.tenant_id
        positions = list_positions_at_marks(
            connection, context.market, tenant_id, position_filter, context.at, limit, position
        )
        marked = add_exit_prices(connection, tenant_id, positions, context.exits)
        items = [
            serialize_marked_position(marked_position)
            for marked_position in marked
            if _is_in_period(filters, format_timestamp(marked_position.position.last_at))
        ]
        rows = select_values(POSITION_COLUMNS, items)
        return Page(rows, positions[-1].position.name_key if len(positions) == limit else None)

    return ExportSource(POSITION_COLUMNS, read_page)


def build_pnl_export(context: ExportContext) -> ExportSource:
    """Return the export of the P&L by day and portfolio, the latest day first, in one page."""
    filters = context.filters
    report_filter = ReportFilter(
        filters.portfolio_name_key, None, filters.since, filters.until, filters.portfolios
    )

    def read_page(connection: Connection, _position: None, _limit: int) -> Page:
        report = build_day_report(connection, filters.tenant_id, context.market, report_filter, context.at)
        return Page(select_values(PNL_COLUMNS, serialize_days(report)), None)

    return ExportSource(PNL_COLUMNS, read_page)


def build_cash_export(context: ExportContext) -> ExportSource:
    """Return the export of cash movements, portfolio by portfolio, newest first."""
    filters, reader = context.filters, context.cash_reader

    def read_page(connection: Connection, position: tuple[str, CashCursor | None] | None, limit: int) -> Page:
        """Read rows of one portfolio. The position is its name key and the last row seen."""
        after, before = (None, None) if position is None else position
        portfolio = _find_next_portfolio(connection, filters, after, is_same=before is not None)
        if portfolio is None:
            return Page([], None)
        name, key = portfolio.name, name_key(portfolio.name)
        reader.settlements.refresh(connection)
        page = (before, limit)
        cash_rows = list_cash_rows(
            connection, context.caller, portfolio, page, reader.settlements, context.at
        )
        items = [
            {"portfolio_name": name, **row}
            for _, row in cash_rows
            if _is_in_period(filters, row["created_at"])
        ]
        next_before = cash_rows[-1][0] if len(cash_rows) == limit else None
        return Page(select_values(CASH_COLUMNS, items), (key, next_before))

    return ExportSource(CASH_COLUMNS, read_page)


EXPORT_BUILDERS: dict[str, Callable[[ExportContext], ExportSource]] = {
    "trades": build_trade_export,
    "orders": build_order_export,
    "positions": build_position_export,
    "pnl": build_pnl_export,
    "cash": build_cash_export,
    "charges": build_charge_export,
    "risk": build_risk_export,
}


def _is_in_period(filters: ExportFilter, instant: str) -> bool:
    """Return whether the period contains an instant in canonical text, which sorts by time."""
    is_late = filters.until is not None and instant >= format_timestamp(filters.until)
    return not is_late and (filters.since is None or instant >= format_timestamp(filters.since))


def _find_next_portfolio(
    connection: Connection, filters: ExportFilter, after: str | None, *, is_same: bool
) -> PortfolioSummary | None:
    """Return the portfolio with the name key `after` if `is_same`, else the next one. None: there is none."""
    if is_same and after is not None:
        return load_portfolios_by_name(connection, filters.tenant_id, [after])[after][0]
    visible = filters.portfolios
    if filters.portfolio_name_key is not None:
        keys = frozenset({filters.portfolio_name_key})
        visible = keys if visible is None else visible & keys
    portfolios = list_portfolio_summaries(connection, filters.tenant_id, None, 1, after, visible)
    return portfolios[0] if portfolios else None
