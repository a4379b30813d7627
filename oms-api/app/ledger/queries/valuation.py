"""Read the positions, cash flows and prices from which portfolios are valued."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, select

from app.database import load_matching_rows
from app.ledger.models import CashMovement, Portfolio, PositionRow, Trade
from app.ledger.rules.cash import FLOWS
from app.ledger.rules.equity import PositionToValue
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.money import ZERO

_TRADES = cast("Table", Trade.__table__)
_POSITIONS = cast("Table", PositionRow.__table__)
_POSITION_KEY = ("tenant_id", "portfolio_id", "symbol", "product")
_ROW_KEY = ("tenant_id", "portfolio_id", "sequence")


def list_positions_to_value(
    connection: Connection, *conditions: ColumnElement[bool]
) -> list[PositionToValue]:
    """Return the open positions of the portfolios that match the conditions."""
    table = PositionRow.__table__.c
    columns = (
        table.tenant_id, table.portfolio_id, table.symbol, table.product, table.quantity, table.cost,
        table.currency, table.local_cost, table.last_sequence, Portfolio.base_currency,
    )  # fmt: skip
    is_owner = (Portfolio.tenant_id == PositionRow.tenant_id) & (Portfolio.id == PositionRow.portfolio_id)
    statement: Select[Any] = (
        select(*columns).join(Portfolio, is_owner).where(PositionRow.quantity != ZERO, *conditions)
    )
    keys: dict[tuple[int, int], PortfolioKey] = {}
    open_positions = []
    for tenant_id, portfolio_id, *values in connection.execute(statement):
        key = keys.get((tenant_id, portfolio_id))
        if key is None:
            key = keys[tenant_id, portfolio_id] = PortfolioKey(tenant_id, portfolio_id)
        open_positions.append(PositionToValue(key, *values))
    return open_positions


def sum_flows(
    connection: Connection, portfolios: Collection[PortfolioKey], until: datetime | None = None
) -> dict[PortfolioKey, Decimal]:
    """Return the cash flows into each portfolio, less the flows out of it, up to an instant.

    Portfolios without such flows are left out.
    """
    row = CashMovement
    conditions: list[ColumnElement[bool]] = [
        row.tenant_id.in_({portfolio.tenant_id for portfolio in portfolios}),
        row.portfolio_id.in_([portfolio.portfolio_id for portfolio in portfolios]),
        row.kind.in_(sorted(FLOWS)),
    ]
    if until is not None:
        conditions.append(row.created_at <= until)
    flows: dict[PortfolioKey, Decimal] = {}
    for tenant_id, portfolio_id, amount in connection.execute(
        select(row.tenant_id, row.portfolio_id, row.amount).where(*conditions)
    ):
        key = PortfolioKey(tenant_id, portfolio_id)
        flows[key] = flows.get(key, ZERO) + amount
    return flows


def load_trade_prices(
    connection: Connection, rows: Iterable[tuple[PortfolioKey, int]]
) -> dict[tuple[PortfolioKey, int], Decimal]:
    """Return the prices of trades, by portfolio and sequence in its ledger."""
    keys: Sequence[tuple[int, int, int]] = [(*portfolio, sequence) for portfolio, sequence in rows]
    matching_rows = load_matching_rows(connection, _TRADES, (*_ROW_KEY, "price"), _ROW_KEY, keys)
    return {
        (PortfolioKey(tenant_id, portfolio_id), sequence): Decimal(price)
        for tenant_id, portfolio_id, sequence, price in matching_rows
    }


def load_last_prices(connection: Connection, keys: Sequence[PositionKey]) -> dict[PositionKey, Decimal]:
    """Return the price of the last trade of each of the positions that is stored."""
    matching_rows = load_matching_rows(
        connection, _POSITIONS, (*_POSITION_KEY, "last_sequence"), _POSITION_KEY, keys
    )
    sequences = {PositionKey(*key): sequence for *key, sequence in matching_rows}
    row_keys = {key: (key.portfolio_key, sequence) for key, sequence in sequences.items()}
    prices = load_trade_prices(connection, sorted(set(row_keys.values())))
    return {key: prices[row_key] for key, row_key in row_keys.items()}
