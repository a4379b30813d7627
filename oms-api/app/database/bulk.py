"""Statements for many rows: one JSON parameter on PostgreSQL, one prepared statement on SQLite.

Values have types that both databases accept as text or JSON: str, int, bool and None. Amounts are canonical
text (`money.format_fixed`), times are RFC 3339 text (`timestamps.format_timestamp`). Statements only contain
names of tables and columns from the code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects.postgresql.base import PGDialect

from app.database.commit_status import TRANSACTION_NUMBER, keep_transaction_number
from app.database.prepared import read_json_statements, run_json_statements

BulkValue = str | int | bool | None
BulkRow = Sequence[BulkValue]
ColumnNames = tuple[str, ...]

_POSTGRESQL: Dialect = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


@dataclass(frozen=True, slots=True)
class BulkWrite:
    """A statement for each database, and its rows."""

    on_postgresql: str
    on_sqlite: str
    rows: Sequence[BulkRow]


class JoinedColumns(NamedTuple):
    """Columns of a table, from the row whose `on` columns equal the key's members at these positions."""

    table: Table
    columns: ColumnNames
    on: tuple[tuple[str, int], ...]


def build_insert(table: Table, columns: ColumnNames, rows: Sequence[BulkRow]) -> BulkWrite:
    """Insert `rows`, with values in the order of `columns`."""
    return BulkWrite(
        _build_insert(table, columns, sqlite=False), _build_insert(table, columns, sqlite=True), rows
    )


def build_insert_missing(table: Table, columns: ColumnNames, rows: Sequence[BulkRow]) -> BulkWrite:
    """Insert those of `rows` that violate no unique constraint, in the given order."""
    plain = build_insert(table, columns, rows)
    ignore = " ON CONFLICT DO NOTHING"
    return BulkWrite(plain.on_postgresql + ignore, plain.on_sqlite + ignore, rows)


def build_upsert(table: Table, columns: ColumnNames, key: ColumnNames, rows: Sequence[BulkRow]) -> BulkWrite:
    """Insert `rows`. If a row with the same `key` exists, overwrite its other columns."""
    return BulkWrite(
        _build_upsert(table, columns, key, sqlite=False),
        _build_upsert(table, columns, key, sqlite=True),
        rows,
    )


def build_update(table: Table, columns: ColumnNames, key: ColumnNames, rows: Sequence[BulkRow]) -> BulkWrite:
    """Update the rows with the given keys. Each of `rows` holds `columns`, then `key`."""
    return BulkWrite(
        _build_update(table, columns, key, sqlite=False),
        _build_update(table, columns, key, sqlite=True),
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
            (pending_write.on_postgresql, _serialize_rows(pending_write.rows))
            for pending_write in pending_writes
        ]
        keep_transaction_number(connection, run_json_statements(connection, statements, TRANSACTION_NUMBER))


def load_matching_rows(
    connection: Connection,
    table: Table,
    columns: ColumnNames,
    key: ColumnNames,
    keys: Sequence[BulkRow],
    lock_by: str = "",
    since: str = "",
) -> list[tuple[Any, ...]]:
    """Return `columns` of the rows whose `key` is among `keys`.

    The values have the driver's types; the rows have no defined order. With `lock_by`, on PostgreSQL, lock
    the rows for update in the order of that column. With `since`, a further column, the last member of each
    of `keys` is its minimum.
    """
    if not keys:
        return []
    statement = _build_match(table, columns, key, lock_by, since, sqlite=_is_sqlite(connection))
    return _load_rows(connection, statement, keys)


def lock_changed_rows(
    connection: Connection, table: Table, columns: ColumnNames, key: ColumnNames, keys: Sequence[BulkRow]
) -> list[tuple[Any, ...]]:
    """Lock rows for update in the order of the last member of `key`. Return version, key and `columns`.

    Each of `keys` is a key and the version of the row that the caller knows, or None. The columns of a row
    that still has that version are None. The version is the transaction that wrote the row, None on SQLite.
    """
    if not keys:
        return []
    if _is_sqlite(connection):
        locked_rows = load_matching_rows(connection, table, key + columns, key, [row[:-1] for row in keys])
        return [(None, *row) for row in locked_rows]
    return _load_rows(connection, _build_lock_of_changed(table, columns, key), keys)


def load_joined_rows(
    connection: Connection, keys: Sequence[BulkRow], *parts: JoinedColumns
) -> list[tuple[Any, ...]]:
    """Return those of `keys` that have a row in any of `parts`: the key, then the columns of each part.

    The columns of a part without such a row are None.
    """
    if not keys:
        return []
    return _load_rows(connection, _build_join(len(keys[0]), parts, sqlite=_is_sqlite(connection)), keys)


def load_rows_by_name(
    connection: Connection,
    table: Table,
    columns: ColumnNames,
    name: str,
    names: Sequence[BulkRow],
    locks: Sequence[tuple[str, str]] = (),
) -> list[tuple[Any, ...]]:
    """Return `columns` of the rows with those (tenant id, name), for an index on (`name`, tenant_id).

    On PostgreSQL, take the `locks` of `build_name_locks` first, in the same round trip.

    No other index can serve the query on PostgreSQL. On a table without statistics the planner might choose
    an index that begins with the tenant, and read all of the tenant's rows for each name.
    """
    if not names or _is_sqlite(connection):
        return load_matching_rows(connection, table, columns, ("tenant_id", name), names)
    return _load_rows(connection, _format_name_lookup(table, columns, name), names, locks)


def _load_rows(
    connection: Connection, statement: str, keys: Sequence[BulkRow], locks: Sequence[tuple[str, str]] = ()
) -> list[tuple[Any, ...]]:
    if _is_sqlite(connection):
        return [tuple(row) for row in connection.exec_driver_sql(statement, (_serialize_rows(keys),))]
    return read_json_statements(connection, [*locks, (statement, _serialize_rows(keys))])


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _serialize_rows(rows: Sequence[BulkRow]) -> str:
    """Return the rows as JSON objects with the short names c0, c1, …, which are faster to parse."""
    names = _list_short_names(len(rows[0]))
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()


@cache
def _list_short_names(count: int) -> ColumnNames:
    return tuple(f"c{index}" for index in range(count))


def _build_recordset(table: Table, columns: ColumnNames) -> str:
    return _build_recordset_of([_get_kind(table, name) for name in columns])


def _build_recordset_of(kinds: Sequence[str]) -> str:
    return f"json_to_recordset(%s) AS r({', '.join(f'c{index} {kind}' for index, kind in enumerate(kinds))})"


def _get_kind(table: Table, name: str) -> str:
    return table.c[name].type.compile(_POSTGRESQL).replace("BIGSERIAL", "BIGINT")


@cache
def _build_insert(table: Table, columns: ColumnNames, *, sqlite: bool) -> str:
    head = f"INSERT INTO {table.name} ({', '.join(columns)})"
    if sqlite:
        return f"{head} VALUES ({', '.join('?' for _ in columns)})"
    return (
        f"{head} SELECT {', '.join(_list_short_names(len(columns)))} FROM {_build_recordset(table, columns)}"  # noqa: S608  # names of the code
    )


@cache
def _build_upsert(table: Table, columns: ColumnNames, key: ColumnNames, *, sqlite: bool) -> str:
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    insertion = _build_insert(table, columns, sqlite=sqlite)
    return f"{insertion} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"


@cache
def _build_update(table: Table, columns: ColumnNames, key: ColumnNames, *, sqlite: bool) -> str:
    if sqlite:
        changes = ", ".join(f"{name} = ?" for name in columns)
        where = " AND ".join(f"{name} = ?" for name in key)
        return f"UPDATE {table.name} SET {changes} WHERE {where}"  # noqa: S608  # names of the code
    names = columns + key
    changes = ", ".join(f"{name} = r.c{index}" for index, name in enumerate(columns))
    where = _build_lookup(key, len(columns))
    return f"UPDATE {table.name} t SET {changes} FROM {_build_recordset(table, names)} WHERE {where}"  # noqa: S608  # as above


@cache
def _build_match(
    table: Table, columns: ColumnNames, key: ColumnNames, lock_by: str, since: str, *, sqlite: bool
) -> str:
    selection = ", ".join(f"t.{name}" for name in columns)
    member = "json_extract(r.value, '$.c{}')" if sqlite else "r.c{}"
    conditions = [f"t.{name} = {member.format(index)}" for index, name in enumerate(key)]
    if since:
        conditions.append(f"t.{since} >= {member.format(len(key))}")
        key = (*key, since)
    condition = " AND ".join(conditions)
    if sqlite:
        return f"SELECT {selection} FROM json_each(?) r CROSS JOIN {table.name} t ON {condition}"  # noqa: S608  # as above
    if lock_by:
        order = f"ORDER BY t.{lock_by} FOR UPDATE OF t"
        source = f"{table.name} t JOIN {_build_recordset(table, key)} ON {_build_lookup(key)}"
        return f"SELECT {selection} FROM {source} {order}"  # noqa: S608  # as above
    # OFFSET 0 keeps the look-ups separate: a single join would scan a table without statistics.
    lookup = f"SELECT {', '.join(columns)} FROM {table.name} t WHERE {condition} OFFSET 0"  # noqa: S608  # as above
    return f"SELECT {selection} FROM {_build_recordset(table, key)} CROSS JOIN LATERAL ({lookup}) t"  # noqa: S608  # as above


@cache
def _build_lock_of_changed(table: Table, columns: ColumnNames, key: ColumnNames) -> str:
    version = "CAST(t.xmin AS text)"
    selection = ", ".join([version, *(f"t.{name}" for name in key), *(f"s.{name}" for name in columns)])
    key_rows = _build_recordset_of([*(_get_kind(table, name) for name in key), "TEXT"])
    changed_row = f"SELECT {', '.join(f't.{name}' for name in columns)}"
    changed_row += f" WHERE {version} IS DISTINCT FROM r.c{len(key)}"
    source = (
        f"{table.name} t JOIN {key_rows} ON {_build_lookup(key)} LEFT JOIN LATERAL ({changed_row}) s ON true"
    )
    return f"SELECT {selection} FROM {source} ORDER BY t.{key[-1]} FOR UPDATE OF t"  # noqa: S608  # as above


def _build_lookup(key: ColumnNames, first: int = 0) -> str:
    """Return the condition that the row has the key, whose members are columns of `r` from number `first`.

    PostgreSQL cannot hash it. It would otherwise read all rows of the table if it has a few hundred.
    """
    return " AND ".join(f"t.{name} = ANY (ARRAY[r.c{first + index}])" for index, name in enumerate(key))


@cache
def _build_join(width: int, parts: tuple[JoinedColumns, ...], *, sqlite: bool) -> str:
    members = [f"json_extract(r.value, '$.c{index}')" if sqlite else f"r.c{index}" for index in range(width)]
    selection = members + [f"t{number}.{name}" for number, part in enumerate(parts) for name in part.columns]
    is_joined = " OR ".join(f"t{number}.{part.on[0][0]} IS NOT NULL" for number, part in enumerate(parts))
    if sqlite:
        joins = [
            f"{part.table.name} t{number} ON "
            + " AND ".join(f"t{number}.{name} = {members[index]}" for name, index in part.on)
            for number, part in enumerate(parts)
        ]
        source = "json_each(?) r"
    else:
        joins = [f"LATERAL ({_build_selection(part)}) t{number} ON true" for number, part in enumerate(parts)]
        kinds = {index: _get_kind(part.table, name) for part in parts for name, index in part.on}
        source = _build_recordset_of([kinds[index] for index in range(width)])
    joined_tables = " LEFT JOIN ".join([source, *joins])
    return f"SELECT {', '.join(selection)} FROM {joined_tables} WHERE {is_joined}"  # noqa: S608  # as above


def _build_selection(part: JoinedColumns) -> str:
    condition = " AND ".join(f"t.{name} = r.c{index}" for name, index in part.on)
    columns = dict.fromkeys((part.on[0][0], *part.columns))
    return f"SELECT {', '.join(columns)} FROM {part.table.name} t WHERE {condition} OFFSET 0"  # noqa: S608  # as above


@cache
def _format_name_lookup(table: Table, columns: ColumnNames, name: str) -> str:
    condition = f"t.{name} = r.c1 AND t.tenant_id + 0 = r.c0"
    lookup = f"SELECT {', '.join(columns)} FROM {table.name} t WHERE {condition} OFFSET 0"  # noqa: S608  # as above
    selection = ", ".join(f"t.{column}" for column in columns)
    keys = _build_recordset(table, ("tenant_id", name))
    return f"SELECT {selection} FROM {keys} CROSS JOIN LATERAL ({lookup}) t"  # noqa: S608  # as above
