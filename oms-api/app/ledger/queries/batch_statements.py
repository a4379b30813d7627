"""Statements of the ledger writer. Each statement serves a whole batch."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, select

from app.column_values import convert_instant
from app.database import (
    build_insert,
    build_insert_missing,
    build_update,
    build_upsert,
    execute_writes,
    load_matching_rows,
)
from app.database.bulk import (
    BulkRow,
    BulkWrite,
    load_joined_rows,
    load_rows_by_name,
    lock_changed_rows,
)
from app.database.bulk_sql import JoinedColumns
from app.database.locks import build_name_locks
from app.instruments.models import InstrumentAliasRow, InstrumentRow
from app.ledger.models import CashMovement, Portfolio, PositionRow, Trade
from app.ledger.queries.reversals import build_unreversed_trade_condition
from app.ledger.rules.accounting import Fill, Position, Side, build_fill
from app.ledger.rules.cash import CASH_COLUMNS, CashRow
from app.ledger.rules.chain import COLUMNS, TradeRow
from app.ledger.rules.keys import PortfolioNameKey, PositionKey, RequestKey, TradeKey
from app.money import ZERO
from app.timestamps import format_timestamp

PORTFOLIOS = cast("Table", Portfolio.__table__)
TRADES = cast("Table", Trade.__table__)
CASH_MOVEMENTS = cast("Table", CashMovement.__table__)
POSITIONS = cast("Table", PositionRow.__table__)
INSTRUMENTS = cast("Table", InstrumentRow.__table__)
ALIASES = cast("Table", InstrumentAliasRow.__table__)

STATE_COLUMNS = (
    "id", "tenant_id", "name", "name_key", "cash", "realized_pnl", "total_trades", "total_buys",
    "last_sequence", "last_hash", "last_trade_id", "last_created_at",
    "kind", "trading_state", "orders_stamp", "base_currency", "cost_schedule", "fee_totals",
    "cost_schedules", "calendar", "enforce_sessions", "approval", "participation", "slippage",
    "moved_cash", "cash_sequence", "cash_hash", "broker", "broker_connection",
    "when_broker_down",
)  # fmt: skip
PROJECTED_COLUMNS = STATE_COLUMNS[4:12]  # cash to last_created_at
_CASH_COLUMNS = ("cash", "moved_cash", "cash_sequence", "cash_hash")
_INSERT_COLUMNS = (
    "id", "tenant_id", "name", "name_key", "base_currency", "kind", "opening_cash", "cash", "realized_pnl",
    "total_trades", "total_buys", "last_sequence", "last_hash", "created_at", "trading_state",
)  # fmt: skip
_POSITION_KEY_COLUMNS = ("tenant_id", "portfolio_id", "symbol", "product")
_POSITION_COLUMNS = (
    "quantity", "cost", "realized_pnl", "last_sequence",
    "currency", "local_cost", "opened_at", "closed_at", "last_executed_at",
)  # fmt: skip
_LOADED_POSITION_COLUMNS = (*_POSITION_COLUMNS[:3], *_POSITION_COLUMNS[4:])
_POSITION_JOIN = JoinedColumns(
    POSITIONS,
    _LOADED_POSITION_COLUMNS,
    tuple((name, index) for index, name in enumerate(_POSITION_KEY_COLUMNS)),
)
_INSTRUMENT_JOIN = JoinedColumns(INSTRUMENTS, ("currency", "exchange"), (("tenant_id", 0), ("symbol", 2)))
_ALIAS_JOIN = JoinedColumns(ALIASES, ("symbol",), (("tenant_id", 0), ("alias", 2)))
_TENANT, _KIND, _REQUEST = map(COLUMNS.index, ("tenant_id", "kind", "idempotency_key"))
_ROWS_PER_CHUNK = 10_000


def load_portfolio_ids(connection: Connection, names: Sequence[BulkRow]) -> dict[PortfolioNameKey, int]:
    """Return the ids of the portfolios (tenant id, name key) that exist."""
    matching_rows = load_matching_rows(
        connection, PORTFOLIOS, ("tenant_id", "name_key", "id"), ("tenant_id", "name_key"), names
    )
    return {PortfolioNameKey(*name): portfolio_id for *name, portfolio_id in matching_rows}


def insert_portfolios(connection: Connection, rows: Sequence[BulkRow]) -> None:
    """Insert the portfolios that do not exist yet.

    Rows must be sorted, so that two processes do not deadlock.
    """
    execute_writes(connection, build_insert_missing(PORTFOLIOS, _INSERT_COLUMNS, rows))


class LockedRow(NamedTuple):
    """A locked portfolio. `state` has `STATE_COLUMNS`, or is None if the row has the version of the request.

    `version` identifies the content of the row (PostgreSQL), None on SQLite.
    """

    version: str | None
    tenant_id: int
    id: int
    state: tuple[Any, ...] | None


def lock_portfolios(connection: Connection, ids: Sequence[BulkRow]) -> list[LockedRow]:
    """Lock portfolios (tenant id, id, known version or None) in the order of their ids."""
    rows = lock_changed_rows(connection, PORTFOLIOS, STATE_COLUMNS, ("tenant_id", "id"), ids)
    return [LockedRow(row[0], row[1], row[2], None if row[3] is None else row[3:]) for row in rows]


def load_portfolio_states(connection: Connection, ids: Sequence[BulkRow]) -> list[tuple[Any, ...]]:
    """Return the current `STATE_COLUMNS` of the portfolios (tenant id, id), without a lock."""
    return load_matching_rows(connection, PORTFOLIOS, STATE_COLUMNS, ("tenant_id", "id"), ids)


def load_trades(connection: Connection, ids: Sequence[BulkRow]) -> list[tuple[Any, ...]]:
    """Return the trades (tenant id, trade id), each as `COLUMNS`."""
    return load_matching_rows(connection, TRADES, COLUMNS, ("tenant_id", "trade_id"), ids)


def lock_request_keys_and_load_trades(
    connection: Connection, keys: Sequence[RequestKey]
) -> list[tuple[Any, ...]]:
    """Lock the request keys, and return the trades recorded under them, each as `COLUMNS`."""
    names = sorted({(tenant_id, key) for tenant_id, _, key in keys})
    locks = build_name_locks(keys)
    rows = load_rows_by_name(connection, TRADES, COLUMNS, "idempotency_key", names, locks)
    requested = set(map(tuple, keys))
    return [row for row in rows if (row[_TENANT], row[_KIND], row[_REQUEST]) in requested]


def load_reversals(connection: Connection, trades: Sequence[BulkRow]) -> dict[TradeKey, str]:
    """Return the ids of the reversals of those trades (tenant id, trade id) that have one."""
    columns = ("tenant_id", "reverses", "trade_id")
    matching_rows = load_matching_rows(connection, TRADES, columns, ("tenant_id", "reverses"), trades)
    return {TradeKey(tenant_id, reverses): trade_id for tenant_id, reverses, trade_id in matching_rows}


class LoadedPosition(NamedTuple):
    """The data of a position key.

    `position` is None if the portfolio has none. `listed_currency` and `exchange` are None if the symbol is
    not listed. `instrument_symbol` is the symbol of the instrument if the key names an alias, else None.
    """

    key: PositionKey
    position: Position | None
    listed_currency: str | None
    exchange: str | None
    instrument_symbol: str | None


def load_positions(connection: Connection, keys: Sequence[BulkRow]) -> list[LoadedPosition]:
    """Return the data of each position key."""
    return [
        _build_loaded_position(*row)
        for row in load_joined_rows(connection, keys, _POSITION_JOIN, _INSTRUMENT_JOIN, _ALIAS_JOIN)
    ]


def _build_loaded_position(
    tenant_id: int, portfolio_id: int, symbol: str, product: str, *columns: Any
) -> LoadedPosition:
    *values, listed_currency, exchange, instrument_symbol = columns
    quantity = values[0]  # null without a position
    return LoadedPosition(
        key=PositionKey(tenant_id, portfolio_id, symbol, product),
        position=None if quantity is None else parse_position(values),
        listed_currency=listed_currency,
        exchange=exchange,
        instrument_symbol=instrument_symbol,
    )


def load_positions_of_portfolios(
    connection: Connection, portfolio_keys: Sequence[BulkRow]
) -> list[tuple[PositionKey, Position]]:
    """Return all positions of the portfolios (tenant id, id)."""
    matching_rows = load_matching_rows(
        connection,
        POSITIONS,
        _POSITION_KEY_COLUMNS + _LOADED_POSITION_COLUMNS,
        ("tenant_id", "portfolio_id"),
        portfolio_keys,
    )
    return [_split_position(*row) for row in matching_rows]


def load_positions_since(
    connection: Connection, sequences: Sequence[BulkRow]
) -> list[tuple[PositionKey, Position]]:
    """Return the positions that trades changed since a sequence of their portfolio (tenant id, id, sequence).

    Trades of that sequence count.
    """
    matching_rows = load_matching_rows(
        connection,
        POSITIONS,
        _POSITION_KEY_COLUMNS + _LOADED_POSITION_COLUMNS,
        ("tenant_id", "portfolio_id"),
        sequences,
        minimum_column="last_sequence",
    )
    return [_split_position(*row) for row in matching_rows]


def _split_position(
    tenant_id: int, portfolio_id: int, symbol: str, product: str, *values: Any
) -> tuple[PositionKey, Position]:
    return PositionKey(tenant_id, portfolio_id, symbol, product), parse_position(values)


def parse_position(values: Sequence[Any]) -> Position:
    """Return the position of the values of `_LOADED_POSITION_COLUMNS`.

    PostgreSQL returns decimals and datetimes, SQLite text.
    """
    quantity, cost, realized_pnl, currency, local_cost, *times = values
    amounts = (Decimal(quantity), Decimal(cost), Decimal(realized_pnl))
    local = ZERO if local_cost is None else Decimal(local_cost)
    return Position(*amounts, local, currency, *map(convert_instant, times))


def build_trade_insert(rows: Sequence[TradeRow]) -> BulkWrite:
    """Return the statement that appends rows to the ledger."""
    return build_insert(TRADES, COLUMNS, rows)


def build_cash_movement_insert(rows: Sequence[CashRow]) -> BulkWrite:
    """Return the statement that appends rows to the cash ledger."""
    return build_insert(CASH_MOVEMENTS, CASH_COLUMNS, rows)


def build_cash_update(rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the statement that updates cash after movements.

    A row is cash, moved cash, the cash ledger's last sequence and hash, then tenant id and id.
    """
    return build_update(PORTFOLIOS, _CASH_COLUMNS, ("tenant_id", "id"), rows)


def build_moved_cash_update(rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the statement that updates moved cash and the end of the cash ledger.

    A row is moved cash, the cash ledger's last sequence and hash, then tenant id and id.
    """
    return build_update(PORTFOLIOS, _CASH_COLUMNS[1:], ("tenant_id", "id"), rows)


def build_position_upsert(rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the statement that writes positions. A row is the key, then `_POSITION_COLUMNS`."""
    return build_upsert(POSITIONS, _POSITION_KEY_COLUMNS + _POSITION_COLUMNS, _POSITION_KEY_COLUMNS, rows)


def build_portfolio_update(rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the statement that updates projections.

    A row is cash to last_created_at as in `STATE_COLUMNS`, then tenant id and id.
    """
    return build_update(PORTFOLIOS, PROJECTED_COLUMNS, ("tenant_id", "id"), rows)


def build_portfolio_update_with_version(rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the statement that updates the projections and the versions of the open orders of portfolios.

    A row is as in `build_portfolio_update`, with the version and the fee totals before tenant id and id.
    """
    return build_update(
        PORTFOLIOS, (*PROJECTED_COLUMNS, "orders_stamp", "fee_totals"), ("tenant_id", "id"), rows
    )


def build_orders_version_update(rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the statement that sets new versions of open orders, which invalidate cached portfolios."""
    return build_update(PORTFOLIOS, ("orders_stamp",), ("tenant_id", "id"), rows)


def iterate_unreversed_fills(connection: Connection, key: PositionKey, without: str = "") -> Iterator[Fill]:
    """Yield, in order, the fills of a position that are not reversed, except the trade `without`."""
    tenant_id, portfolio_id, symbol, product_ = key
    statement = (
        select(*FILL_COLUMNS)
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id)
        .where(Trade.symbol == symbol, Trade.product == product_)
        .where(build_unreversed_trade_condition(), Trade.trade_id != without)
        .order_by(Trade.sequence)
    )
    rows = connection.execute(statement, execution_options={"yield_per": _ROWS_PER_CHUNK})
    yield from map(parse_fill_row, rows)


def find_last_rate(connection: Connection, tenant_id: int, portfolio_id: int, symbol: str) -> Decimal | None:
    """Return the newest exchange rate recorded for the portfolio's symbol, None if there is none."""
    statement = (
        select(Trade.fx_rate)
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id, Trade.symbol == symbol)
        .where(Trade.fx_rate.is_not(None))
        .order_by(Trade.sequence.desc())
        .limit(1)
    )
    return connection.execute(statement).scalar_one_or_none()


def has_cash_movement(
    connection: Connection, tenant_id: int, portfolio_id: int, kind: str, symbol: str | None, day: str
) -> bool:
    """Return whether the portfolio has a cash movement of that kind, symbol and day."""
    statement = (
        select(CashMovement.sequence)
        .where(CashMovement.tenant_id == tenant_id, CashMovement.portfolio_id == portfolio_id)
        .where(CashMovement.kind == kind, CashMovement.symbol == symbol, CashMovement.day == day)
        .limit(1)
    )
    return connection.execute(statement).first() is not None


FILL_COLUMNS = (Trade.side, Trade.quantity, Trade.gmv, Trade.currency, Trade.fx_rate, Trade.executed_at)


def parse_fill_row(row: Any) -> Fill:  # a row of `FILL_COLUMNS`
    """Return the fill of a ledger row. The row may be corrupt, so nothing is validated."""
    side, quantity, gmv, currency, fx_rate, executed_at = row
    rate = None if currency is None else fx_rate
    return build_fill(Side(side), quantity, gmv, currency, rate, format_timestamp(executed_at))
