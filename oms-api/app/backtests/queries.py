"""Statements about backtests that run as jobs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select

from app.backtests.models import IS_UNFINISHED, BacktestFileRow, BacktestRow
from app.backtests.rules.jobs import Backtest, BacktestStatus
from app.database import RecordTable

BACKTESTS = RecordTable(BacktestRow, Backtest)


def list_backtests(connection: Connection, tenant_id: int, limit: int, before: str | None) -> list[Backtest]:
    """Return backtests, newest first. `before` is the id of the last one seen."""
    statement = BACKTESTS.select(tenant_id=tenant_id)
    if before is not None:
        statement = statement.where(BacktestRow.id < before)
    return BACKTESTS.read(connection, statement.order_by(BacktestRow.id.desc()).limit(limit))


def delete_backtest(connection: Connection, tenant_id: int, backtest_id: str) -> bool:
    """Delete a backtest with its files. Return whether there was one."""
    files = (BacktestFileRow.tenant_id == tenant_id, BacktestFileRow.backtest_id == backtest_id)
    connection.execute(delete(BacktestFileRow).where(*files))
    return BACKTESTS.delete(connection, tenant_id=tenant_id, id=backtest_id)


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
    values = {
        "status": BacktestStatus.RUNNING.value, "progress": 0, "holder": holder, "started_at": now,
        "leased_until": leased_until,
    }  # fmt: skip
    BACKTESTS.update(connection, values, tenant_id=row.tenant_id, id=row.id)
    return BACKTESTS.find(connection, tenant_id=row.tenant_id, id=row.id)


def update_claimed(connection: Connection, backtest: Backtest, changes: Mapping[str, Any]) -> bool:
    """Change a backtest that its holder runs. Return False if it was deleted, or another process has it."""
    return BACKTESTS.update(
        connection, changes, tenant_id=backtest.tenant_id, id=backtest.id, holder=backtest.holder,
        status=BacktestStatus.RUNNING.value,
    )  # fmt: skip


def insert_file(connection: Connection, backtest: Backtest, name: str, content: bytes) -> None:
    """Store a file of a backtest."""
    backtest_key = {"tenant_id": backtest.tenant_id, "backtest_id": backtest.id}
    connection.execute(insert(BacktestFileRow).values(**backtest_key, name=name, content=content))


def find_file(connection: Connection, tenant_id: int, backtest_id: str, name: str) -> bytes | None:
    """Return the compressed content of a file."""
    row = BacktestFileRow
    is_match = (row.tenant_id == tenant_id, row.backtest_id == backtest_id, row.name == name)
    return connection.execute(select(row.content).where(*is_match)).scalar_one_or_none()


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(BacktestRow.leased_until.is_(None), BacktestRow.leased_until <= now)
