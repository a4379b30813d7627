"""Statements with one JSON parameter, which PostgreSQL plans once for a connection that prepares them.

Only the writer's connections prepare; they have the execution option `prepares`. The plans are generic,
because the engine sets `plan_cache_mode`; `engine.discard_plans` renews them. A new connection prepares
its statements again.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

_NAMES, _COUNT = "prepared_statements", "prepared_count"
# PostgreSQL's SQLSTATE when a migration changed the columns of a prepared statement.
_PLAN_IS_OUTDATED = "0A000"


def run_json_statements(
    connection: Connection, statements: Sequence[tuple[str, str]], last: str = ""
) -> CursorResult[Any]:
    """Run statements in one round trip, each with its JSON text for `%s`. Return the last result.

    `last` is a statement without a parameter after the others.
    """
    parameters = tuple(parameter for _, parameter in statements)
    ending = [last] if last else []
    if not connection.get_execution_options().get("prepares"):
        return connection.exec_driver_sql(";\n".join([*(sql for sql, _ in statements), *ending]), parameters)
    names = _prepare(connection, [sql for sql, _ in statements])
    try:
        calls = [f"EXECUTE {name}(%s)" for name in names]
        return connection.exec_driver_sql(";".join([*calls, *ending]), parameters)
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == _PLAN_IS_OUTDATED:
            connection.info.pop(_NAMES, None)  # the next attempt prepares again
        raise


def _prepare(connection: Connection, statements: Sequence[str]) -> list[str]:
    """Prepare new statements, and return the names of all. Names outlive a rollback, like the statements."""
    names: dict[str, str] = connection.info.setdefault(_NAMES, {})
    for sql in statements:
        if sql not in names:
            # Each attempt takes a new name: a failed one may have used its own.
            connection.info[_COUNT] = connection.info.get(_COUNT, 0) + 1
            name = f"{_describe(sql)}_{connection.info[_COUNT]}"
            connection.exec_driver_sql(f"PREPARE {name} (json) AS {sql.replace('%s', '$1')}")
            names[sql] = name
    return [names[sql] for sql in statements]


def _describe(sql: str) -> str:
    """Return a name such as insert_trades, for operators: `pg_stat_activity` shows only the name."""
    first, second, third = sql.split()[:3]
    table = {"INSERT": f"_{third}", "UPDATE": f"_{second}"}
    return f"{first.lower()}{table.get(first, '')}"
