"""The writer's statements: each serves a whole batch."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Table, select
from sqlalchemy.orm import aliased

from app.database import alteration, insertion, insertion_of_missing, matching_rows, upsertion, write
from app.database.bulk import Row, Write
from app.ledger.models import Portfolio, PositionRow, Trade
from app.ledger.rules.accounting import Fill, Side
from app.ledger.rules.chain import COLUMNS, TradeRow

PORTFOLIOS = cast("Table", Portfolio.__table__)
TRADES = cast("Table", Trade.__table__)
POSITIONS = cast("Table", PositionRow.__table__)

STATE = (
    *("id", "tenant_id", "name", "name_key", "cash", "realized_pnl", "total_trades", "total_buys"),
    *("last_sequence", "last_hash", "last_trade_id", "last_created_at"),
    *("kind", "trading_state", "orders_stamp"),
)
_PROJECTED = STATE[4:12]  # cash to last_created_at
_NEW = (
    *("id", "tenant_id", "name", "name_key", "base_currency", "kind", "opening_cash", "cash", "realized_pnl"),
    *("total_trades", "total_buys", "last_sequence", "last_hash", "created_at", "trading_state"),
)
_POSITION_KEY = ("tenant_id", "portfolio_id", "symbol", "product")
_POSITION = ("quantity", "cost", "realized_pnl", "last_sequence")
_REPLAY_CHUNK = 10_000


def portfolio_ids(connection: Connection, names: Sequence[Row]) -> dict[tuple[int, str], int]:
    """Return the ids of the portfolios (tenant id, name key) that exist."""
    found = matching_rows(
        connection, PORTFOLIOS, ("tenant_id", "name_key", "id"), ("tenant_id", "name_key"), names
    )
    return {(tenant_id, name_key): portfolio_id for tenant_id, name_key, portfolio_id in found}


def insert_portfolios(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert portfolios that are not there yet, in the order given: sorted, or two processes deadlock."""
    write(connection, insertion_of_missing(PORTFOLIOS, _NEW, rows))


def lock_portfolios(connection: Connection, ids: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return `STATE` of the portfolios (tenant id, id), locked for update in the order of their ids."""
    return matching_rows(connection, PORTFOLIOS, STATE, ("tenant_id", "id"), ids, lock_by="id")


def portfolio_states(connection: Connection, ids: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return `STATE` of the portfolios (tenant id, id), as they stand."""
    return matching_rows(connection, PORTFOLIOS, STATE, ("tenant_id", "id"), ids)


def trades_by_id(connection: Connection, ids: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return the trades (tenant id, trade id), each as `COLUMNS`."""
    return matching_rows(connection, TRADES, COLUMNS, ("tenant_id", "trade_id"), ids)


def trades_by_key(connection: Connection, keys: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return the trades recorded under the keys (tenant id, kind, idempotency key), each as `COLUMNS`."""
    return matching_rows(connection, TRADES, COLUMNS, ("tenant_id", "kind", "idempotency_key"), keys)


def reversals_of(connection: Connection, trades: Sequence[Row]) -> dict[tuple[int, str], str]:
    """Return the ids of the reversals of the trades (tenant id, trade id) that have one."""
    columns = ("tenant_id", "reverses", "trade_id")
    found = matching_rows(connection, TRADES, columns, ("tenant_id", "reverses"), trades)
    return {(tenant_id, reverses): trade_id for tenant_id, reverses, trade_id in found}


def positions_at(connection: Connection, keys: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return the positions (tenant id, portfolio id, symbol, product), each as key, quantity, cost, realised
    P&L.
    """
    return matching_rows(connection, POSITIONS, _POSITION_KEY + _POSITION[:3], _POSITION_KEY, keys)


def positions_in(connection: Connection, places: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return all positions of the portfolios (tenant id, id), as `positions_at` does."""
    columns = _POSITION_KEY + _POSITION[:3]
    return matching_rows(connection, POSITIONS, columns, ("tenant_id", "portfolio_id"), places)


def new_trades(rows: Sequence[TradeRow]) -> Write:
    """Append to the ledger."""
    return insertion(TRADES, COLUMNS, rows)


def moved_positions(rows: Sequence[Row]) -> Write:
    """Write positions: key, quantity, cost, realised P&L, last sequence."""
    return upsertion(POSITIONS, _POSITION_KEY + _POSITION, _POSITION_KEY, rows)


def moved_portfolios(rows: Sequence[Row]) -> Write:
    """Write the projections of portfolios: cash to last_created_at as in `STATE`, then tenant id and id."""
    return alteration(PORTFOLIOS, _PROJECTED, ("tenant_id", "id"), rows)


def moved_and_stamped_portfolios(rows: Sequence[Row]) -> Write:
    """Write the projections of portfolios, and the stamps of their orders before tenant id and id."""
    return alteration(PORTFOLIOS, (*_PROJECTED, "orders_stamp"), ("tenant_id", "id"), rows)


def standing_fills(connection: Connection, original: TradeRow) -> Iterator[Fill]:
    """Yield, in order, the fills of the trade's symbol and product that no reversal undid, without the trade
    itself.
    """
    undone = aliased(Trade)
    is_undone = (
        select(undone.trade_id)
        .where(undone.tenant_id == Trade.tenant_id, undone.reverses == Trade.trade_id)
        .correlate(Trade)
        .exists()
    )
    statement = (
        select(Trade.side, Trade.quantity, Trade.gmv)
        .where(Trade.tenant_id == original.tenant_id, Trade.portfolio_id == original.portfolio_id)
        .where(Trade.symbol == original.symbol, Trade.product == original.product)
        .where(Trade.kind == "trade", Trade.trade_id != original.trade_id, ~is_undone)
        .order_by(Trade.sequence)
    )
    for side, quantity, gmv in connection.execute(statement, execution_options={"yield_per": _REPLAY_CHUNK}):
        yield Fill(Side(side), quantity, gmv)
