"""Statements about backtests that run as jobs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from app.backtests.models import IS_UNFINISHED, BacktestFileRow, BacktestRow
from app.backtests.rules.jobs import Backtest, BacktestStatus

_COLUMNS = tuple(getattr(BacktestRow, name) for name in Backtest._fields)


def insert_backtest(connection: Connection, backtest: Backtest) -> None:
    """Store a new backtest."""
    connection.execute(insert(BacktestRow).values(**backtest._asdict()))


def find_backtest(connection: Connection, tenant_id: int, backtest_id: str) -> Backtest | None:
    """Return a backtest."""
    is_match = (BacktestRow.tenant_id == tenant_id, BacktestRow.id == backtest_id)
    row = connection.execute(select(*_COLUMNS).where(*is_match)).one_or_none()
    return None if row is None else _build_backtest(row)


def list_backtests(connection: Connection, tenant_id: int, limit: int, before: str | None) -> list[Backtest]:
    """Return backtests, newest first. `before` is the id of the last one seen."""
    statement = select(*_COLUMNS).where(BacktestRow.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(BacktestRow.id < before)
    rows = connection.execute(statement.order_by(BacktestRow.id.desc()).limit(limit))
    return list(map(_build_backtest, rows))


def count_backtests(connection: Connection, tenant_id: int, *, unfinished: bool = False) -> int:
    """Return the number of the tenant's backtests, or of those that are not finished."""
    statement = select(func.count()).select_from(BacktestRow).where(BacktestRow.tenant_id == tenant_id)
    if unfinished:
        statement = statement.where(IS_UNFINISHED)
    return int(connection.execute(statement).scalar_one())


def delete_backtest(connection: Connection, tenant_id: int, backtest_id: str) -> bool:
    """Delete a backtest with its files. Return whether there was one."""
    files = (BacktestFileRow.tenant_id == tenant_id, BacktestFileRow.backtest_id == backtest_id)
    connection.execute(delete(BacktestFileRow).where(*files))
    is_match = (BacktestRow.tenant_id == tenant_id, BacktestRow.id == backtest_id)
    return connection.execute(delete(BacktestRow).where(*is_match)).rowcount == 1


def has_due_backtest(connection: Connection, now: datetime) -> bool:
    """Return whether a backtest of any tenant waits, or has lost its process."""
    statement = select(BacktestRow.id).where(IS_UNFINISHED, _is_free(now)).limit(1)
    return connection.execute(statement).first() is not None


def claim_backtest(
    connection: Connection, holder: str, now: datetime, leased_until: datetime
) -> Backtest | None:
    """Return the oldest backtest that waits, of any tenant that the connection sees, as running here."""
    oldest = (
        select(BacktestRow.tenant_id, BacktestRow.id)
        .where(IS_UNFINISHED, _is_free(now))
        .order_by(BacktestRow.created_at, BacktestRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(oldest).one_or_none()
    if row is None:
        return None
    is_match = (BacktestRow.tenant_id == row.tenant_id, BacktestRow.id == row.id)
    values = {
        "status": BacktestStatus.RUNNING.value, "progress": 0, "holder": holder, "started_at": now,
        "leased_until": leased_until,
    }  # fmt: skip
    connection.execute(update(BacktestRow).where(*is_match).values(**values))
    return find_backtest(connection, row.tenant_id, row.id)


def update_claimed(connection: Connection, backtest: Backtest, changes: Mapping[str, Any]) -> bool:
    """Change a backtest that its holder runs. Return False if it was deleted, or another process has it."""
    is_mine = (
        BacktestRow.tenant_id == backtest.tenant_id,
        BacktestRow.id == backtest.id,
        BacktestRow.holder == backtest.holder,
        BacktestRow.status == BacktestStatus.RUNNING.value,
    )
    return connection.execute(update(BacktestRow).where(*is_mine).values(**changes)).rowcount == 1


def insert_file(connection: Connection, backtest: Backtest, name: str, content: bytes) -> None:
    """Store a file of a backtest."""
    of_it = {"tenant_id": backtest.tenant_id, "backtest_id": backtest.id}
    connection.execute(insert(BacktestFileRow).values(**of_it, name=name, content=content))


def find_file(connection: Connection, tenant_id: int, backtest_id: str, name: str) -> bytes | None:
    """Return the compressed content of a file."""
    row = BacktestFileRow
    is_match = (row.tenant_id == tenant_id, row.backtest_id == backtest_id, row.name == name)
    return connection.execute(select(row.content).where(*is_match)).scalar_one_or_none()


def _is_free(now: datetime) -> Any:  # a condition
    return or_(BacktestRow.leased_until.is_(None), BacktestRow.leased_until <= now)


def _build_backtest(row: Any) -> Backtest:
    backtest = Backtest._make(row)
    return backtest._replace(status=BacktestStatus(backtest.status))
