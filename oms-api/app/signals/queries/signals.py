"""Statements about signals and their orders."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Select, Table, select

from app.database import RecordTable, build_insert, build_insert_missing, build_update, load_matching_rows
from app.database.bulk import BulkRow, BulkValue, BulkWrite
from app.ledger.models import Portfolio
from app.money import format_fixed
from app.orders.models import OrderRecord
from app.signals.models import IS_RECEIVED, SignalRow
from app.signals.rules.values import Signal
from app.timestamps import format_timestamp

_TABLE = cast("Table", SignalRow.__table__)
SIGNALS = RecordTable(SignalRow, Signal)
_INSERTED_COLUMNS = Signal._fields[1:]  # without the number, which the database gives
_OUTCOME_COLUMNS = ("status", "outcome_reason", "order_ids", "completed_at", "latency_ms")


class SignalKey(NamedTuple):
    """An id of a signal of a tenant."""

    tenant_id: int
    signal_id: str


class ListedSignal(NamedTuple):
    """A signal with the name of its portfolio, and the statuses of its orders by their id."""

    signal: Signal
    portfolio_name: str
    order_statuses: dict[str, str]


class SignalFilter(NamedTuple):
    """Filters of a list of signals; None matches all. `portfolios` are the name keys the caller may see."""

    status: str | None = None
    strategy: str | None = None
    symbol: str | None = None
    portfolio_name_key: str | None = None
    portfolios: frozenset[str] | None = None


def load_signals(connection: Connection, keys: Collection[SignalKey]) -> dict[SignalKey, Signal]:
    """Return the stored signals by key. Signals that are not stored are left out."""
    if not load_matching_rows(connection, _TABLE, ("id",), ("tenant_id", "id"), sorted(keys)):
        return {}  # as nearly always, in a prepared statement
    tenant_ids, ids = {key.tenant_id for key in keys}, {key.signal_id for key in keys}
    statement = select(*SIGNALS.columns).where(SignalRow.tenant_id.in_(tenant_ids), SignalRow.id.in_(ids))
    signals = SIGNALS.read(connection, statement)
    return {SignalKey(signal.tenant_id, signal.id): signal for signal in signals}


def build_signal_insert(signals: Sequence[Signal]) -> BulkWrite:
    """Return the statement that inserts signals."""
    return build_insert(_TABLE, _INSERTED_COLUMNS, list(map(_build_row, signals)))


def build_missing_signal_insert(signals: Sequence[Signal]) -> BulkWrite:
    """Return the statement that inserts the signals whose ids are not stored yet."""
    return build_insert_missing(_TABLE, _INSERTED_COLUMNS, list(map(_build_row, signals)))


def build_outcome_update(signals: Sequence[Signal]) -> BulkWrite:
    """Return the statement that stores the outcomes of signals that were stored before."""
    columns, key = ("order_side", "quantity", "notional", *_OUTCOME_COLUMNS), ("tenant_id", "number")
    rows = [
        tuple(_convert_to_value(getattr(signal, name)) for name in (*columns, *key)) for signal in signals
    ]
    return build_update(_TABLE, columns, key, rows)


def list_signals(
    connection: Connection, tenant_id: int, filters: SignalFilter, limit: int, before: int | None
) -> list[ListedSignal]:
    """Return signals, newest first, before the number of the last one seen."""
    equal = {
        SignalRow.status: filters.status,
        SignalRow.strategy: filters.strategy,
        SignalRow.symbol: filters.symbol,
        Portfolio.name_key: filters.portfolio_name_key,
    }
    statement = _select_visible(tenant_id, filters.portfolios).where(
        *(column == value for column, value in equal.items() if value is not None)
    )
    if before is not None:
        statement = statement.where(SignalRow.number < before)
    return _load_listed_signals(
        connection, tenant_id, statement.order_by(SignalRow.number.desc()).limit(limit)
    )


def find_signal(
    connection: Connection, tenant_id: int, signal_id: str, portfolios: frozenset[str] | None
) -> ListedSignal | None:
    """Return a signal if it is in one of the portfolios (name keys; None: all)."""
    listed_signals = _load_listed_signals(
        connection, tenant_id, _select_visible(tenant_id, portfolios).where(SignalRow.id == signal_id)
    )
    return listed_signals[0] if listed_signals else None


def list_pending_signals(connection: Connection, before: datetime, limit: int) -> list[ListedSignal]:
    """Return signals of all tenants in scope that were received before an instant and not acted on."""
    statement = _select_signals().where(IS_RECEIVED, SignalRow.received_at < before)
    rows = connection.execute(statement.order_by(SignalRow.number).limit(limit))
    return [ListedSignal(SIGNALS.build(tuple(row)[:-1]), row[-1], {}) for row in rows]


def _select_signals() -> Select[Any]:
    is_portfolio = (Portfolio.tenant_id == SignalRow.tenant_id) & (Portfolio.id == SignalRow.portfolio_id)
    return select(*SIGNALS.columns, Portfolio.name).join(Portfolio, is_portfolio)


def _select_visible(tenant_id: int, portfolios: frozenset[str] | None) -> Select[Any]:
    statement = _select_signals().where(SignalRow.tenant_id == tenant_id)
    return statement if portfolios is None else statement.where(Portfolio.name_key.in_(sorted(portfolios)))


def _load_listed_signals(
    connection: Connection, tenant_id: int, statement: Select[Any]
) -> list[ListedSignal]:
    rows = [tuple(row) for row in connection.execute(statement)]
    signals = [(SIGNALS.build(row[:-1]), str(row[-1])) for row in rows]
    ids = {order_id for signal, _ in signals for order_id in signal.order_ids.split()}
    orders = select(OrderRecord.id, OrderRecord.status)
    is_order_of_signals = (OrderRecord.tenant_id == tenant_id, OrderRecord.id.in_(ids))
    statuses = (
        {row.id: row.status for row in connection.execute(orders.where(*is_order_of_signals))} if ids else {}
    )
    return [
        ListedSignal(
            signal,
            name,
            {order_id: statuses[order_id] for order_id in signal.order_ids.split() if order_id in statuses},
        )
        for signal, name in signals
    ]


def _build_row(signal: Signal) -> BulkRow:
    return tuple(map(_convert_to_value, signal[1:]))


def _convert_to_value(value: Any) -> BulkValue:
    """Return a field of a signal as `database.bulk` takes it."""
    if isinstance(value, Decimal):
        return format_fixed(value)
    if isinstance(value, datetime):
        return format_timestamp(value.astimezone(UTC))
    return str(value) if isinstance(value, StrEnum) else value
