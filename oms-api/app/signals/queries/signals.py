"""Statements about signals and their orders."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

import orjson
from sqlalchemy import Connection, Select, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from app.database import build_update, write
from app.database.bulk import Row, Write
from app.events.service.outbox import build_event_insert
from app.ledger.models import Portfolio
from app.orders.models import OrderRecord
from app.signals.models import IS_RECEIVED, SignalRow
from app.signals.rules.completion import build_signal_payload
from app.signals.rules.values import Channel, Signal, SignalMode, SignalStatus, SizeKind
from app.timestamps import iso

_TABLE = cast("Table", SignalRow.__table__)
_COLUMNS = tuple(getattr(SignalRow, name) for name in Signal._fields)
_OUTCOME = ("status", "outcome_reason", "order_ids", "completed_at", "latency_ms")


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
    portfolio_key: str | None = None
    portfolios: frozenset[str] | None = None


def insert_missing_signals(connection: Connection, signals: Sequence[Signal]) -> set[SignalKey]:
    """Insert the signals whose ids are new, and return their keys."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows = [{name: value for name, value in one._asdict().items() if name != "number"} for one in signals]
    statement = dialect.insert(_TABLE).on_conflict_do_nothing()
    inserted = connection.execute(statement.returning(_TABLE.c.tenant_id, _TABLE.c.id), rows)
    return {SignalKey(row[0], row[1]) for row in inserted}


def find_signals(connection: Connection, keys: Collection[SignalKey]) -> dict[SignalKey, Signal]:
    """Return those of the signals that are stored."""
    tenant_ids, ids = {key.tenant_id for key in keys}, {key.signal_id for key in keys}
    statement = select(*_COLUMNS).where(SignalRow.tenant_id.in_(tenant_ids), SignalRow.id.in_(ids))
    found = [_build(tuple(row)) for row in connection.execute(statement)]
    return {SignalKey(one.tenant_id, one.id): one for one in found}


def complete_signals(connection: Connection, signals: Sequence[Signal]) -> list[Signal]:
    """Store the outcomes of those signals that have none yet, with their events, and return them."""
    by_number = {one.number: one for one in reversed(signals)}
    is_pending = (
        SignalRow.tenant_id.in_({one.tenant_id for one in signals}),
        SignalRow.number.in_(by_number),
        IS_RECEIVED,
    )
    locked = select(SignalRow.number).where(*is_pending).order_by(SignalRow.number).with_for_update()
    pending = set(connection.execute(locked).scalars())
    changed = [one for one in by_number.values() if one.number in pending]
    rows: list[Row] = [(*_build_outcome(one), one.tenant_id, one.number) for one in changed]
    write(connection, build_update(_TABLE, _OUTCOME, ("tenant_id", "number"), rows), _build_events(changed))
    return changed


def publish_outcomes(connection: Connection, signals: Sequence[Signal]) -> None:
    """Publish the events of signals that were acted on; another write must precede it."""
    write(connection, _build_events(signals))


def _build_outcome(signal: Signal) -> Row:
    completed_at = iso(signal.completed_at or signal.received_at)
    return str(signal.status), signal.outcome_reason, signal.order_ids, completed_at, signal.latency_ms


def _build_events(signals: Sequence[Signal]) -> Write:
    return build_event_insert(
        [
            (
                one.tenant_id,
                f"signal.{one.status}",
                orjson.dumps(build_signal_payload(one)).decode(),
                iso(one.completed_at or one.received_at),
            )
            for one in signals
        ]
    )


def list_signals(
    connection: Connection, tenant_id: int, filters: SignalFilter, limit: int, before: int | None
) -> list[ListedSignal]:
    """Return signals, newest first, before the number of the last one seen."""
    equal = {
        SignalRow.status: filters.status,
        SignalRow.strategy: filters.strategy,
        SignalRow.symbol: filters.symbol,
        Portfolio.name_key: filters.portfolio_key,
    }
    statement = _visible(tenant_id, filters.portfolios).where(
        *(column == value for column, value in equal.items() if value is not None)
    )
    if before is not None:
        statement = statement.where(SignalRow.number < before)
    return _listed(connection, tenant_id, statement.order_by(SignalRow.number.desc()).limit(limit))


def find_signal(
    connection: Connection, tenant_id: int, signal_id: str, portfolios: frozenset[str] | None
) -> ListedSignal | None:
    """Return a signal if it is in one of the portfolios (name keys; None: all)."""
    found = _listed(connection, tenant_id, _visible(tenant_id, portfolios).where(SignalRow.id == signal_id))
    return found[0] if found else None


def list_pending_signals(connection: Connection, before: datetime, limit: int) -> list[ListedSignal]:
    """Return signals of all tenants in scope that were received before an instant and not acted on."""
    statement = _select().where(IS_RECEIVED, SignalRow.received_at < before)
    rows = connection.execute(statement.order_by(SignalRow.number).limit(limit))
    return [ListedSignal(_build(tuple(row)[:-1]), row[-1], {}) for row in rows]


def count_pending_signals(connection: Connection) -> int:
    """Return the number of signals of all tenants in scope that were not acted on."""
    return int(
        connection.execute(select(func.count()).select_from(SignalRow).where(IS_RECEIVED)).scalar_one()
    )


def find_order_id(connection: Connection, tenant_id: int, keys: Sequence[str]) -> str | None:
    """Return the id of the order with one of the idempotency keys."""
    is_it = (OrderRecord.tenant_id == tenant_id, OrderRecord.idempotency_key.in_(keys))
    return connection.execute(select(OrderRecord.id).where(*is_it).limit(1)).scalar_one_or_none()


def _select() -> Select[Any]:
    home = (Portfolio.tenant_id == SignalRow.tenant_id) & (Portfolio.id == SignalRow.portfolio_id)
    return select(*_COLUMNS, Portfolio.name).join(Portfolio, home)


def _visible(tenant_id: int, portfolios: frozenset[str] | None) -> Select[Any]:
    statement = _select().where(SignalRow.tenant_id == tenant_id)
    return statement if portfolios is None else statement.where(Portfolio.name_key.in_(sorted(portfolios)))


def _listed(connection: Connection, tenant_id: int, statement: Select[Any]) -> list[ListedSignal]:
    rows = [tuple(row) for row in connection.execute(statement)]
    signals = [(_build(row[:-1]), str(row[-1])) for row in rows]
    ids = {order_id for signal, _ in signals for order_id in signal.order_ids.split()}
    wanted = select(OrderRecord.id, OrderRecord.status)
    is_theirs = (OrderRecord.tenant_id == tenant_id, OrderRecord.id.in_(ids))
    statuses = {row.id: row.status for row in connection.execute(wanted.where(*is_theirs))} if ids else {}
    return [
        ListedSignal(
            signal, name, {one: statuses[one] for one in signal.order_ids.split() if one in statuses}
        )
        for signal, name in signals
    ]


def _build(row: tuple[Any, ...]) -> Signal:
    signal = Signal._make(row)
    return signal._replace(
        channel=Channel(signal.channel),
        size_kind=SizeKind(signal.size_kind),
        mode=SignalMode(signal.mode),
        status=SignalStatus(signal.status),
    )
