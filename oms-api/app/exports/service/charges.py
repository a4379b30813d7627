"""The export of charges."""

from typing import Any

from sqlalchemy import Connection

from app.costs.rules.booked_charges import parse_components
from app.exports import queries
from app.exports.queries import ChargeMovement, ExportFilter
from app.exports.rules.columns import CHARGE_COLUMNS, TRADE_COLUMNS
from app.exports.rules.tables import CellValue
from app.exports.service.pages import ExportContext, ExportSource, Page
from app.money import ZERO, format_fixed, parse_plain

_TRADE_FIELDS = [column.name for column in TRADE_COLUMNS]


def build_charge_export(context: ExportContext) -> ExportSource:
    """Return the export of charges: those of trades, newest first, then those without a trade."""
    filters = context.filters

    def read_page(connection: Connection, position: tuple[str, Any] | None, limit: int) -> Page:
        kind, after = ("trades", None) if position is None else position
        if kind == "trades":
            trades = queries.list_trades(connection, filters, limit, after, only_charged=True)
            rows = _read_trade_charges(connection, filters, trades)
            is_full = len(trades) == limit
            return Page(rows, ("trades", trades[-1][0]) if is_full else ("movements", None))
        movements = queries.list_charge_movements(connection, filters, limit, after)
        next_position = None
        if len(movements) == limit:
            next_position = ("movements", (movements[-1].portfolio_id, movements[-1].sequence))
        return Page(list(map(_build_movement_row, movements)), next_position)

    return ExportSource(CHARGE_COLUMNS, read_page)


def _read_trade_charges(connection: Connection, filters: ExportFilter, rows: Any) -> list[list[CellValue]]:
    trades = [dict(zip(_TRADE_FIELDS, row, strict=True)) for row in rows]
    order_ids = sorted({trade["order_id"] for trade in trades if trade["order_id"] is not None})
    components = queries.load_charge_components(connection, filters.tenant_id, order_ids)
    return [_build_trade_row(trade, components.get(trade["trade_id"])) for trade in trades]


def _build_trade_row(trade: dict[str, Any], components: str | None) -> list[CellValue]:
    """Return the row of a trade. `components` is JSON text; None: they are not known."""
    amounts = {name: format_fixed(amount) for name, amount in parse_components(components).items()}
    values = {**trade, "currency": trade["base_currency"], "reason": trade["note"], **amounts}
    return [values.get(column.name) for column in CHARGE_COLUMNS]


def _build_movement_row(movement: ChargeMovement) -> list[CellValue]:
    values = {
        "portfolio_name": movement.portfolio_name,
        "currency": movement.currency,
        "kind": movement.kind,
        "charges": format_fixed(-(parse_plain(movement.amount) or ZERO)),
        "symbol": movement.symbol,
        "reason": movement.reason,
        "created_at": movement.created_at,
    }
    return [values.get(column.name) for column in CHARGE_COLUMNS]
