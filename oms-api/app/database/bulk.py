"""Statements for many rows.

PostgreSQL gets rows and keys as one JSON parameter. SQLite gets keys as one JSON parameter, and rows by
one statement for each row.

Values have types that both databases accept as text or JSON: str, int, bool and None. Amounts are canonical
text (`money.format_fixed`), times are RFC 3339 text (`timestamps.format_timestamp`). Statements only contain
names of tables and columns from the code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Table

from app.database.bulk_sql import (
    ColumnNames,
    JoinedColumns,
    format_changed_row_lock,
    format_insert,
    format_join_query,
    format_match_query,
    format_name_query,
    format_update,
    format_upsert,
    list_short_names,
)
from app.database.commit_status import TRANSACTION_NUMBER, keep_transaction_number
from app.database.prepared import JsonStatement, read_json_statements, run_json_statements

BulkValue = str | int | bool | None
BulkRow = Sequence[BulkValue]


@dataclass(frozen=True, slots=True)
class BulkWrite:
    """A statement for each database, and its rows."""

    on_postgresql: str
    on_sqlite: str
    rows: Sequence[BulkRow]


def build_insert(table: Table, columns: ColumnNames, rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the insertion of `rows`, whose values have the order of `columns`."""
    return BulkWrite(
        format_insert(table, columns, sqlite=False), format_insert(table, columns, sqlite=True), rows
    )


def build_insert_missing(table: Table, columns: ColumnNames, rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the insertion, in the given order, of each of `rows` that violates no unique constraint."""
    plain = build_insert(table, columns, rows)
    ignore = " ON CONFLICT DO NOTHING"
    return BulkWrite(plain.on_postgresql + ignore, plain.on_sqlite + ignore, rows)


def build_upsert(table: Table, columns: ColumnNames, key: ColumnNames, rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the insertion of `rows`, which overwrites the other columns of a row that has the same `key`."""
    return BulkWrite(
        format_upsert(table, columns, key, sqlite=False),
        format_upsert(table, columns, key, sqlite=True),
        rows,
    )


def build_update(table: Table, columns: ColumnNames, key: ColumnNames, rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the update of the rows with the given keys. Each of `rows` holds `columns`, then `key`."""
    return BulkWrite(
        format_update(table, columns, key, sqlite=False),
        format_update(table, columns, key, sqlite=True),
        rows,
    )


def execute_writes(connection: Connection, *writes: BulkWrite) -> None:
    """Run `writes` in order, on PostgreSQL in one round trip. Skip writes without rows.

    Keep the number of the transaction: see `database.commit_status`.
    """
    pending_writes = [pending_write for pending_write in writes if pending_write.rows]
    if _is_sqlite(connection):
        for pending_write in pending_writes:
            connection.exec_driver_sql(pending_write.on_sqlite, [tuple(row) for row in pending_write.rows])
    elif pending_writes:
        statements = [
            JsonStatement(pending_write.on_postgresql, _serialize_rows(pending_write.rows))
            for pending_write in pending_writes
        ]
        keep_transaction_number(connection, run_json_statements(connection, statements, TRANSACTION_NUMBER))


def load_matching_rows(
    connection: Connection,
    table: Table,
    columns: ColumnNames,
    key: ColumnNames,
    keys: Sequence[BulkRow],
    lock_order_column: str = "",
    minimum_column: str = "",
) -> list[tuple[Any, ...]]:
    """Return `columns` of the rows whose `key` is among `keys`.

    The values have the driver's types. With `lock_order_column`, on PostgreSQL, lock the rows for update and
    return them in the order of that column; otherwise their order is not defined. With `minimum_column`, a
    further column, the last member of each of `keys` is the lowest value that this column may have.
    """
    if not keys:
        return []
    statement = format_match_query(
        table, columns, key, lock_order_column, minimum_column, sqlite=_is_sqlite(connection)
    )
    return _load_rows(connection, statement, keys)


def lock_changed_rows(
    connection: Connection, table: Table, columns: ColumnNames, key: ColumnNames, keys: Sequence[BulkRow]
) -> list[tuple[Any, ...]]:
    """Return version, key and `columns` of rows. On PostgreSQL, lock them by the last column of `key`.

    Each of `keys` is a key and the version of the row that the caller knows, or None. The columns of a row
    that still has that version are None. The version is the transaction that wrote the row, None on SQLite.
    """
    if not keys:
        return []
    if _is_sqlite(connection):
        locked_rows = load_matching_rows(connection, table, key + columns, key, [row[:-1] for row in keys])
        return [(None, *row) for row in locked_rows]
    return _load_rows(connection, format_changed_row_lock(table, columns, key), keys)


def load_joined_rows(
    connection: Connection, keys: Sequence[BulkRow], *joined_columns: JoinedColumns
) -> list[tuple[Any, ...]]:
    """Return each of `keys` that has a row in a joined table, with the columns of all joined tables.

    The columns of a table without such a row are None.
    """
    if not keys:
        return []
    return _load_rows(
        connection, format_join_query(len(keys[0]), joined_columns, sqlite=_is_sqlite(connection)), keys
    )


def load_rows_by_name(
    connection: Connection,
    table: Table,
    columns: ColumnNames,
    name: str,
    names: Sequence[BulkRow],
    locks: Sequence[JsonStatement] = (),
) -> list[tuple[Any, ...]]:
    """Return `columns` of the rows with those (tenant id, name), for an index on (`name`, tenant_id).

    On PostgreSQL, take the `locks` of `build_name_locks` first, in the same round trip.

    No other index can serve the query on PostgreSQL. On a table without statistics the planner might choose
    an index that begins with the tenant, and read all of the tenant's rows for each name.
    """
    if not names or _is_sqlite(connection):
        return load_matching_rows(connection, table, columns, ("tenant_id", name), names)
    return _load_rows(connection, format_name_query(table, columns, name), names, locks)


def _load_rows(
    connection: Connection, statement: str, keys: Sequence[BulkRow], locks: Sequence[JsonStatement] = ()
) -> list[tuple[Any, ...]]:
    if _is_sqlite(connection):
        return [tuple(row) for row in connection.exec_driver_sql(statement, (_serialize_rows(keys),))]
    return read_json_statements(connection, [*locks, JsonStatement(statement, _serialize_rows(keys))])


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _serialize_rows(rows: Sequence[BulkRow]) -> str:
    """Return the rows as JSON objects with the names of `list_short_names`."""
    names = list_short_names(len(rows[0]))
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()
