"""Read the whole ledger as canonical text, in bounded memory, to verify or rebuild it."""

from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import BigInteger, Connection, Table, bindparam, delete, func, select
from sqlalchemy.orm import aliased

from app.column_values import format_canonical
from app.database import Amount, Instant, load_matching_rows
from app.events.models import Event
from app.events.queries import iterate_events
from app.ledger.models import Portfolio, PositionRow, Trade
from app.ledger.queries.batch_statements import FILL_COLUMNS, parse_fill_row
from app.ledger.queries.canonical import format_trade
from app.ledger.queries.corporate_actions import has_action_rows, replay_position
from app.ledger.queries.reversals import build_unreversed_trade_condition
from app.ledger.rules.accounting import Fill, Position, replay_fills
from app.ledger.rules.chain import COLUMNS, TradeRow
from app.ledger.rules.keys import LedgerRowKey, PortfolioKey
from app.ledger.rules.ledger_state import REVERSAL, ReversedTrade
from app.ledger.rules.projections import PortfolioProjection, PositionProjection
from app.timestamps import Timestamp

TRADE_RECORDED = "trade.recorded"
POSITION_CHANGED = "position.changed"
_ROWS_PER_CHUNK = 2_000  # rows fetched at once: some 2 MB of trades
_RFC_3339 = '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\''
AnyRow = TypeVar("AnyRow", TradeRow, PortfolioProjection, PositionProjection, "CashEvent")
_LEDGER_ORDER = "tenant_id, portfolio_id, sequence, trade_id"


class RecordedEvent(NamedTuple):
    """An event about a trade or a position. `payload` is JSON text."""

    id: int
    tenant_id: int
    payload: str
    created_at: Timestamp


class CashEvent(NamedTuple):
    """An event about a cash movement. `payload` is JSON text."""

    id: int
    tenant_id: int
    type: str
    payload: str
    created_at: Timestamp


def iterate_ledger_rows(connection: Connection) -> Generator[TradeRow, None, None]:
    """Yield all rows of the ledger, portfolio by portfolio, each in sequence."""
    return _stream_rows(connection, Trade.__table__, TradeRow, order=_LEDGER_ORDER)


def iterate_rows_after(
    connection: Connection, tenant_id: int, portfolio_id: int, sequence: int
) -> Generator[TradeRow, None, None]:
    """Yield the rows of one portfolio after `sequence`, in sequence."""
    condition = f"tenant_id = {tenant_id:d} AND portfolio_id = {portfolio_id:d} AND sequence > {sequence:d}"
    return _stream_rows(connection, Trade.__table__, TradeRow, order=_LEDGER_ORDER, condition=condition)


def iterate_portfolio_rows(
    connection: Connection, condition: str = ""
) -> Generator[PortfolioProjection, None, None]:
    """Yield all portfolios, sorted by tenant and id."""
    return _stream_rows(
        connection, Portfolio.__table__, PortfolioProjection, order="tenant_id, id", condition=condition
    )


def iterate_portfolio_values(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield the creation values of all portfolios with their settings. Amounts and instants are canonical."""
    names = (
        "id", "tenant_id", "name", "name_key", "base_currency", "kind", "opening_cash", "created_at",
        "cost_schedule", "cost_schedules", "calendar", "enforce_sessions", "approval",
        "participation", "slippage", "carry_rates", "broker", "broker_connection", "when_broker_down",
    )  # fmt: skip
    columns = [getattr(Portfolio, name) for name in names]
    for row in connection.execute(select(*columns).order_by(*columns[:2])):
        yield dict(zip(names, map(format_canonical, row), strict=True))


def load_portfolio_row(connection: Connection, tenant_id: int, portfolio_id: int) -> PortfolioProjection:
    """Return one portfolio."""
    (row,) = iterate_portfolio_rows(connection, f"tenant_id = {tenant_id:d} AND id = {portfolio_id:d}")
    return row


def iterate_position_rows(
    connection: Connection, condition: str = ""
) -> Generator[PositionProjection, None, None]:
    """Yield the rows of the positions table, portfolio by portfolio."""
    order = "tenant_id, portfolio_id"
    return _stream_rows(
        connection, PositionRow.__table__, PositionProjection, order=order, condition=condition
    )


def iterate_position_rows_of_portfolio(
    connection: Connection, tenant_id: int, portfolio_id: int
) -> Generator[PositionProjection, None, None]:
    """Yield the rows of the positions table of one portfolio."""
    return iterate_position_rows(connection, f"tenant_id = {tenant_id:d} AND portfolio_id = {portfolio_id:d}")


def load_portfolio_keys(connection: Connection) -> list[PortfolioKey]:
    """Return the keys of all portfolios, sorted."""
    columns = (Portfolio.tenant_id, Portfolio.id)
    rows = connection.execute(select(*columns).order_by(*columns))
    return [PortfolioKey(*row) for row in rows]


def delete_position(connection: Connection, row: PositionProjection) -> None:
    """Delete a row from the positions table."""
    key = {name: getattr(row, name) for name in ("tenant_id", "portfolio_id", "symbol", "product")}
    connection.execute(delete(PositionRow).filter_by(**key))


def iterate_recorded_events(
    connection: Connection, kind: str = TRADE_RECORDED
) -> Generator[RecordedEvent, None, None]:
    """Yield all events of that type."""
    for row_id, tenant_id, _, payload, created_at in iterate_events(connection, [kind]):
        yield RecordedEvent(row_id, tenant_id, payload, format_canonical(created_at))


def iterate_cash_events(connection: Connection) -> Generator[CashEvent, None, None]:
    """Yield all events about cash movements."""
    return _stream_rows(
        connection, Event.__table__, CashEvent, order="", condition="substr(type, 1, 5) = 'cash.'"
    )


def load_trades_by_key(connection: Connection, keys: Sequence[LedgerRowKey]) -> dict[LedgerRowKey, TradeRow]:
    """Return the ledger rows by their keys."""
    key = ("tenant_id", "portfolio_id", "sequence")
    matching_rows = load_matching_rows(
        connection, cast("Table", Trade.__table__), COLUMNS, key, sorted(set(keys))
    )
    rows = map(format_trade, matching_rows)
    return {row.ledger_key: row for row in rows}


def has_trade_at(connection: Connection, key: LedgerRowKey, created_at: Timestamp) -> bool:
    """Return whether the portfolio has a row at or after that sequence that was recorded at that instant."""
    tenant_id, portfolio_id, sequence = key
    try:
        instant = datetime.fromisoformat(created_at)
    except ValueError:
        return False
    statement = (
        select(Trade.trade_id)
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id, Trade.sequence >= sequence)
        .where(Trade.created_at == instant)
        .limit(1)
    )
    return connection.execute(statement).first() is not None


def find_repeated_key(connection: Connection) -> TradeRow | None:
    """Return a row whose idempotency key another row of its portfolio and kind has too, or None."""
    bound = (Trade.tenant_id, Trade.portfolio_id, Trade.kind, Trade.idempotency_key)
    statement = (
        select(*bound, func.max(Trade.trade_id))
        .where(Trade.idempotency_key.is_not(None))
        .group_by(*bound)
        .having(func.count() > 1)
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return _find_trade(connection, row[0], row[4]) if row else None


def find_reversed_trade(connection: Connection, reversal: TradeRow) -> ReversedTrade | None:
    """Return the trade that a reversal undid, with the position that the other trades up to it give.

    None if the reversal does not name an earlier trade of its own portfolio.
    """
    original = _find_trade(connection, reversal.tenant_id, reversal.reverses)
    if original is None or original.kind == REVERSAL or original.sequence >= reversal.sequence:
        return None
    if original.portfolio_id != reversal.portfolio_id:
        return None
    key = original.position_key
    if has_action_rows(connection, key, reversal.sequence):
        position = replay_position(connection, key, original.trade_id, reversal.sequence)
        return ReversedTrade(original, _find_earlier_reversal(connection, reversal), position)
    first = _replay_from(connection, original, reversal)
    fills = _iterate_unreversed_fills(connection, original, first.sequence, reversal.sequence)
    return ReversedTrade(
        original,
        _find_earlier_reversal(connection, reversal),
        replay_fills(fills, _build_previous_position(first)),
    )


def _replay_from(connection: Connection, original: TradeRow, reversal: TradeRow) -> TradeRow:
    """Return the row at which a replay can start, because no later reversal undid a row before it.

    That is the trade itself, unless reversals since then undid earlier trades.
    """
    start = original
    while True:
        earlier = connection.execute(
            _EARLIEST_UNDONE,
            _get_position_fields(start) | {"start": start.sequence, "end": reversal.sequence},
        ).scalar_one()
        if earlier is None or earlier >= start.sequence:
            return start
        start = format_trade(
            connection.execute(_AT, _get_position_fields(start) | {"sequence": earlier}).one()
        )


def _build_previous_position(row: TradeRow) -> Position:
    quantity, cost, realized_pnl, local_cost = (
        Decimal(after) - Decimal(change)
        for after, change in (
            (row.position_quantity, row.quantity_delta),
            (row.position_cost, row.cost_delta),
            (row.position_realized_pnl, row.realized_pnl),
            (row.position_local_cost or 0, row.local_cost_delta or 0),
        )
    )
    return Position(quantity, cost, realized_pnl, local_cost, row.currency)


def _iterate_unreversed_fills(
    connection: Connection, original: TradeRow, start: int, end: int
) -> Iterator[Fill]:
    """Yield the fills of the symbol from `start` to before `end` that no reversal up to `end` undid."""
    fields = _get_position_fields(original) | {"start": start, "end": end, "trade_id": original.trade_id}
    options = {"yield_per": _ROWS_PER_CHUNK}
    yield from map(parse_fill_row, connection.execute(_UNREVERSED_FILLS, fields, execution_options=options))


def _find_earlier_reversal(connection: Connection, reversal: TradeRow) -> str | None:
    fields = {"tenant_id": reversal.tenant_id, "reverses": reversal.reverses, "end": reversal.sequence}
    return connection.execute(_REVERSED_BEFORE, fields).scalar_one()


def _find_trade(connection: Connection, tenant_id: int, trade_id: str | None) -> TradeRow | None:
    row = connection.execute(_TRADE, {"tenant_id": tenant_id, "trade_id": trade_id}).one_or_none()
    return format_trade(row) if row else None


def _get_position_fields(row: TradeRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("tenant_id", "portfolio_id", "symbol", "product")}


def _stream_rows(
    connection: Connection, table: Any, row_type: type[AnyRow], order: str, condition: str = ""
) -> Generator[AnyRow, None, None]:
    """Yield rows as text in the same form for both databases, through a server-side cursor.

    Close the generator before the transaction ends if it was not read to the end.
    """
    columns = ", ".join(
        _build_text_column(connection, cast("Table", table), name) for name in row_type._fields
    )
    statement = f"SELECT {columns} FROM {table.name}"  # noqa: S608  # names from the code and integers, no user input
    statement += f" WHERE {condition}" if condition else ""
    statement += f" ORDER BY {order}" if order else ""
    with connection.exec_driver_sql(statement, execution_options={"stream_results": True}) as result:
        for part in result.partitions(_ROWS_PER_CHUNK):
            yield from map(row_type._make, part)


def _build_text_column(connection: Connection, table: Table, name: str) -> str:
    kind = table.c[name].type
    if connection.dialect.name != "sqlite":
        if isinstance(kind, Amount):
            return f"{name}::text"
        if isinstance(kind, Instant):
            return f"to_char({name} AT TIME ZONE 'UTC', {_RFC_3339})"
    return name


_UNDONE = aliased(Trade)
_START, _END = bindparam("start", type_=BigInteger), bindparam("end", type_=BigInteger)
_TRADES = select(*(getattr(Trade, name) for name in COLUMNS)).where(Trade.tenant_id == bindparam("tenant_id"))
_TRADE = _TRADES.where(Trade.trade_id == bindparam("trade_id"))
_AT = _TRADES.where(Trade.portfolio_id == bindparam("portfolio_id"), Trade.sequence == bindparam("sequence"))
_SAME_SYMBOL = (
    Trade.tenant_id == bindparam("tenant_id"),
    Trade.portfolio_id == bindparam("portfolio_id"),
    Trade.symbol == bindparam("symbol"),
    Trade.product == bindparam("product"),
)
_EARLIEST_UNDONE = (
    select(func.min(_UNDONE.sequence))
    .join_from(Trade, _UNDONE, (_UNDONE.tenant_id == Trade.tenant_id) & (_UNDONE.trade_id == Trade.reverses))
    .where(*_SAME_SYMBOL, Trade.sequence > _START, Trade.sequence <= _END)
)
_UNREVERSED_FILLS = (
    select(*FILL_COLUMNS)
    .where(*_SAME_SYMBOL, Trade.sequence >= _START, Trade.sequence < _END)
    .where(build_unreversed_trade_condition(_END), Trade.trade_id != bindparam("trade_id"))
    .order_by(Trade.sequence)
)
_REVERSED_BEFORE = select(func.min(Trade.trade_id)).where(
    Trade.tenant_id == bindparam("tenant_id"), Trade.reverses == bindparam("reverses"), Trade.sequence < _END
)
