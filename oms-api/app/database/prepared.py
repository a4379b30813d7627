"""Statements with one JSON parameter, which PostgreSQL plans once for a connection that prepares them.

A connection prepares if its execution option `prepares` is set: the writer's. The plans are generic, because
the engine sets `plan_cache_mode`; `engine.discard_plans` renews them. A new connection prepares again.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

_NAMES, _COUNT = "prepared_statements", "prepared_count"
_CANNOT_RUN = "0A000"  # PostgreSQL's SQLSTATE when a migration changed the columns of a prepared statement


def run_json_statements(connection: Connection, statements: Sequence[tuple[str, str]]) -> CursorResult[Any]:
    """Run statements in one round trip, each with its JSON text for `%s`. Return the last result."""
    parameters = tuple(parameter for _, parameter in statements)
    if not connection.get_execution_options().get("prepares"):
        return connection.exec_driver_sql(";\n".join(sql for sql, _ in statements), parameters)
    names = _prepare(connection, [sql for sql, _ in statements])
    try:
        return connection.exec_driver_sql(";".join(f"EXECUTE {name}(%s)" for name in names), parameters)
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == _CANNOT_RUN:
            connection.info.pop(_NAMES, None)  # the next attempt prepares again
        raise


def _prepare(connection: Connection, statements: Sequence[str]) -> list[str]:
    """Return the names of the statements. They are kept with the driver's connection, across rollbacks."""
    known: dict[str, str] = connection.info.setdefault(_NAMES, {})
    for sql in statements:
        if sql not in known:
            connection.info[_COUNT] = connection.info.get(_COUNT, 0) + 1  # a failed name is taken
            name = f"{_describe(sql)}_{connection.info[_COUNT]}"
            connection.exec_driver_sql(f"PREPARE {name} (json) AS {sql.replace('%s', '$1')}")
            known[sql] = name
    return [known[sql] for sql in statements]


def _describe(sql: str) -> str:
    """Return a name such as insert_trades, for operators: `pg_stat_activity` shows only the name."""
    first, second, third = sql.split()[:3]
    table = {"INSERT": f"_{third}", "UPDATE": f"_{second}"}
    return f"{first.lower()}{table.get(first, '')}"
