"""Forge rows as a superuser, by column or row; every forgery is rolled back."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    Table,
    inspect,
    text,
)

import app.models  # noqa: F401  # every table is known
from app.audit.service.log_verification import check_audit_logs
from app.database import Amount, Instant
from app.ledger.service.verification_result import VerificationResult
from app.verify import PARTS

_INSTANT = "2026-01-02T03:04:05.000006Z"
_JSON = {"payload", "denial", "before", "after", "answer"}


@contextmanager
def connect_without_guards(engine: Engine) -> Iterator[Connection]:
    """Yield a connection without guards of the tables. Its changes are rolled back."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        if connection.dialect.name == "sqlite":
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            connection.execute(text("PRAGMA ignore_check_constraints = ON"))
            for name in connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).all():
                connection.execute(text(f"DROP TRIGGER {name[0]}"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for table in inspect(connection).get_table_names():
                for check in inspect(connection).get_check_constraints(table):
                    connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{check["name"]}"'))
        yield connection
        transaction.rollback()


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Roll back the changes of the block."""
    connection.exec_driver_sql("SAVEPOINT forged")
    try:
        yield
    finally:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT forged")


def is_noticed(connection: Connection, table: str) -> bool:
    """Return whether verification finds a fault. The checks that are likely to find it run first."""
    if table.startswith("audit") and check_audit_logs(connection).problem:
        return True
    result = VerificationResult()
    parts = list(PARTS.items())
    parts.sort(key=lambda part: part[0] not in _LIKELY.get(table, ()))
    for _, part in parts:
        try:
            part(connection, result)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return True  # `app.verify.check_database` reports it
        if not result.is_clean:
            return True
    return bool(check_audit_logs(connection).problem)


_LIKELY = {
    **dict.fromkeys(("orders", "order_events", "executions"), ("the orders",)),
    **dict.fromkeys(("kill_switches", "kill_switch_changes", "limits", "latches"), ("the risk controls",)),
    "approval_requests": ("the approvals",),
    **dict.fromkeys(("users", "api_keys", "sessions", "logins", "tenants"), ("the identities",)),
    **dict.fromkeys(("slack_workspaces", "portfolio_grants"), ("the identities",)),
    "instruments": ("the instruments",),
}


def find_row(connection: Connection, table: Table, where: str) -> dict[str, Any] | None:
    """Return the first row, by its primary key, that fits."""
    order = ", ".join(column.name for column in table.primary_key)
    statement = text(f"SELECT * FROM {table.name} WHERE {where or '1 = 1'} ORDER BY {order}")  # noqa: S608  # of the tests
    row = connection.execute(statement).mappings().first()
    return dict(row) if row else None


def forge_value(
    connection: Connection, table: Table, row: dict[str, Any], column: Column[Any], value: Any
) -> None:
    """Give a column of a row another value."""
    changes = text(
        f"UPDATE {table.name} SET {column.name} = :value WHERE {_build_key(table)}"  # noqa: S608  # of the tests
    )
    result = connection.execute(changes, {"value": value} | _build_key_values(table, row))
    assert result.rowcount == 1


def delete_row(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Delete a row."""
    statement = text(f"DELETE FROM {table.name} WHERE {_build_key(table)}")  # noqa: S608  # of the tests
    assert connection.execute(statement, _build_key_values(table, row)).rowcount == 1


def _build_key(table: Table) -> str:
    return " AND ".join(f"{column.name} = :key_{column.name}" for column in table.primary_key)


def _build_key_values(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {f"key_{column.name}": row[column.name] for column in table.primary_key}


def list_other_values(table: Table, column: Column[Any], stored: Any) -> list[Any]:
    """Return values that a forger might give a column instead of `stored`: valid ones of its kind."""
    if column.name == "tenant_id":
        return [1 if stored != 1 else 2]
    if column.name == "following":
        return list((_forge_changes if table.name == "order_events" else _forge_events)(stored))
    if column.name in _JSON and isinstance(stored, str):
        return list(_forge_json(stored))
    for kind, make in _OF_KIND:
        if isinstance(column.type, kind):
            return [make(stored)]
    allowed = _list_allowed(table, column)
    if allowed:
        return [next(value for value in allowed if value != stored)]
    length = getattr(column.type, "length", None) or 100
    return ["f" * 64 if "hash" in column.name else "Forged"[:length]]


def _forge_json(stored: str) -> Iterator[str]:
    values = orjson.loads(stored)
    for name in values:
        yield orjson.dumps(values | {name: _forge_text(values[name])}).decode()
        yield orjson.dumps({key: value for key, value in values.items() if key != name}).decode()


def _forge_changes(stored: str | None) -> Iterator[str]:
    """Yield other changes of an order than those of a row. The key of a request cannot be proven."""
    changes = orjson.loads(stored or "[]")
    for number, change in enumerate(changes):
        key = {name: value for name, value in change.items() if name == "request_key"}
        proven = {name: value for name, value in change.items() if name != "request_key"}
        for other in _forge_json(orjson.dumps(proven).decode()):
            other_events = [*changes[:number], orjson.loads(other) | key, *changes[number + 1 :]]
            yield orjson.dumps(other_events).decode()
    yield orjson.dumps([*changes, {"to_status": "HELD", "at": _INSTANT, "actor": "forger"}]).decode()


def _forge_events(stored: str | None) -> Iterator[str]:
    """Yield other events than those that follow in a row."""
    lines = stored.split("\n") if stored else []
    for number, line in enumerate(lines):
        kind, _, payload = line.partition(" ")
        forged_texts = [f"{kind} {other}" for other in _forge_json(payload)] + [f"{kind}.forged {payload}"]
        for other in forged_texts:
            yield "\n".join([*lines[:number], other, *lines[number + 1 :]])
    yield "\n".join([*lines, "order.forged {}"])


def _forge_text(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else "7.77"


_OF_KIND: list[tuple[Any, Callable[[Any], Any]]] = [
    (Boolean, lambda stored: not stored),
    (Amount, lambda _: "7.77000000"),
    (Instant, lambda _: _INSTANT),
    (Integer, lambda stored: (stored or 0) + 1_000_003),
    (LargeBinary, lambda _: b"f" * 32),
]


def _list_allowed(table: Table, column: Column[Any]) -> list[str]:
    """Return the words that a check of the table allows the column."""
    for check in table.constraints:
        if isinstance(check, CheckConstraint):
            match = re.fullmatch(rf"{column.name} IN \((.*)\)", str(check.sqltext))
            if match:
                return re.findall(r"'([^']*)'", match[1])
    return []
