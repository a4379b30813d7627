"""Statements with one JSON parameter, which PostgreSQL plans once for a connection that prepares them.

Only the writer's connections prepare; they have the execution option `prepares`. The plans are generic,
because the engine sets `plan_cache_mode`; `engine.discard_plans` renews them. A new connection prepares
its statements again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import psycopg2
from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

from app.database.tenants import add_tenant_scope

_NAMES_KEY, _COUNT_KEY = "prepared_statements", "prepared_count"
# PostgreSQL's SQLSTATE when a migration changed the columns of a prepared statement.
_OUTDATED_PLAN_CODE = "0A000"


class JsonStatement(NamedTuple):
    """A statement with one JSON parameter, `%s`, and the JSON text of that parameter."""

    sql: str
    json: str


def run_json_statements(
    connection: Connection, statements: Sequence[JsonStatement], final_statement: str = ""
) -> CursorResult[Any]:
    """Run statements in one round trip, and return the last result.

    `final_statement` is a statement without a parameter after the others.
    """
    parameters = tuple(statement.json for statement in statements)
    ending = [final_statement] if final_statement else []
    if not connection.get_execution_options().get("prepares"):
        return connection.exec_driver_sql(
            ";\n".join([*(statement.sql for statement in statements), *ending]), parameters
        )
    calls = _build_execute_calls(connection, statements)
    with _renew_stale_plans(connection):
        return connection.exec_driver_sql(";".join([*calls, *ending]), parameters)


def read_json_statements(
    connection: Connection, statements: Sequence[JsonStatement]
) -> list[tuple[Any, ...]]:
    """Run statements as `run_json_statements`. Return the rows of the last one, as the driver returns them.

    A connection that prepares calls the driver directly. SQLAlchemy would describe the columns of each result
    again, which takes as long as to send the statement.
    """
    if not connection.get_execution_options().get("prepares"):
        return [tuple(row) for row in run_json_statements(connection, statements)]
    sql = ";".join(_build_execute_calls(connection, statements))
    if not connection.in_transaction():
        connection.begin()
    with _renew_stale_plans(connection):
        return _fetch_rows(
            connection, add_tenant_scope(connection, sql), [statement.json for statement in statements]
        )


def _fetch_rows(connection: Connection, sql: str, parameters: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the rows of a statement. Raises the DBAPIError that SQLAlchemy would raise."""
    raw = connection.connection.dbapi_connection
    cursor = connection.connection.cursor()
    try:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
    except psycopg2.Error as error:
        is_lost = connection.dialect.is_disconnect(cast("Any", error), raw, cursor)
        if is_lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            sql,
            None,
            error,
            psycopg2.Error,
            hide_parameters=True,
            connection_invalidated=is_lost,
            dialect=connection.dialect,
        ) from error
    finally:
        cursor.close()


@contextmanager
def _renew_stale_plans(connection: Connection) -> Iterator[None]:
    """Let the next attempt prepare again, if the plan of a statement no longer fits its table."""
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == _OUTDATED_PLAN_CODE:
            connection.info.pop(_NAMES_KEY, None)
        raise


def _build_execute_calls(connection: Connection, statements: Sequence[JsonStatement]) -> list[str]:
    return [
        f"EXECUTE {name}(%s)"
        for name in _prepare_statements(connection, [statement.sql for statement in statements])
    ]


def _prepare_statements(connection: Connection, statements: Sequence[str]) -> list[str]:
    """Prepare new statements, and return the names of all. Names outlive a rollback, like the statements."""
    names: dict[str, str] = connection.info.setdefault(_NAMES_KEY, {})
    for sql in statements:
        if sql not in names:
            # Each attempt takes a new name: a failed one may have used its own.
            connection.info[_COUNT_KEY] = connection.info.get(_COUNT_KEY, 0) + 1
            name = f"{_build_statement_name(sql)}_{connection.info[_COUNT_KEY]}"
            connection.exec_driver_sql(f"PREPARE {name} (json) AS {sql.replace('%s', '$1')}")
            names[sql] = name
    return [names[sql] for sql in statements]


def _build_statement_name(sql: str) -> str:
    """Return a name such as insert_trades, for operators: `pg_stat_activity` shows only the name."""
    first, second, third = sql.split()[:3]
    table = {"INSERT": f"_{third}", "UPDATE": f"_{second}"}
    return f"{first.lower()}{table.get(first, '')}"
