"""SQL of the statements of `bulk`, without values. `sqlite` chooses the database.

The statements only contain names of tables and columns from the code. SQLite takes the values of a row as one
parameter each in insertions and updates, and all keys as one JSON parameter in queries. PostgreSQL takes rows
and keys as one JSON parameter.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects.postgresql.base import PGDialect

ColumnNames = tuple[str, ...]

_POSTGRESQL: Dialect = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


class JoinedColumns(NamedTuple):
    """Columns of a table, from the row that matches a key.

    `on` pairs each column of the table with the index of the key's member that it equals.
    """

    table: Table
    columns: ColumnNames
    on: tuple[tuple[str, int], ...]


@cache
def list_short_names(count: int) -> ColumnNames:
    """Return the names c0, c1, … of the members of a row, which are faster to parse than longer ones."""
    return tuple(f"c{index}" for index in range(count))


def _format_recordset(table: Table, columns: ColumnNames) -> str:
    return _format_recordset_of_types([_get_postgresql_type(table, name) for name in columns])


def _format_recordset_of_types(types: Sequence[str]) -> str:
    columns = ", ".join(f"c{index} {type_name}" for index, type_name in enumerate(types))
    return f"json_to_recordset(%s) AS r({columns})"


def _get_postgresql_type(table: Table, name: str) -> str:
    return table.c[name].type.compile(_POSTGRESQL).replace("BIGSERIAL", "BIGINT")


@cache
def format_insert(table: Table, columns: ColumnNames, *, sqlite: bool) -> str:
    """Return the statement that inserts rows."""
    head = f"INSERT INTO {table.name} ({', '.join(columns)})"
    if sqlite:
        return f"{head} VALUES ({', '.join('?' for _ in columns)})"
    return (
        f"{head} SELECT {', '.join(list_short_names(len(columns)))} FROM {_format_recordset(table, columns)}"
    )


@cache
def format_upsert(table: Table, columns: ColumnNames, key: ColumnNames, *, sqlite: bool) -> str:
    """Return the statement that inserts rows. A row with the same `key` is overwritten."""
    assignments = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    insertion = format_insert(table, columns, sqlite=sqlite)
    return f"{insertion} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {assignments}"


@cache
def format_update(table: Table, columns: ColumnNames, key: ColumnNames, *, sqlite: bool) -> str:
    """Return the statement that updates the rows with given keys. A row holds `columns`, then `key`."""
    if sqlite:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        where = " AND ".join(f"{name} = ?" for name in key)
        return f"UPDATE {table.name} SET {assignments} WHERE {where}"
    names = columns + key
    assignments = ", ".join(f"{name} = r.c{index}" for index, name in enumerate(columns))
    where = _format_key_condition(key, len(columns))
    return f"UPDATE {table.name} t SET {assignments} FROM {_format_recordset(table, names)} WHERE {where}"


@cache
def format_match_query(
    table: Table,
    columns: ColumnNames,
    key: ColumnNames,
    lock_order_column: str,
    minimum_column: str,
    *,
    sqlite: bool,
) -> str:
    """Return the query of `bulk.load_matching_rows`."""
    selection = ", ".join(f"t.{name}" for name in columns)
    member = "json_extract(r.value, '$.c{}')" if sqlite else "r.c{}"
    conditions = [f"t.{name} = {member.format(index)}" for index, name in enumerate(key)]
    if minimum_column:
        conditions.append(f"t.{minimum_column} >= {member.format(len(key))}")
        key = (*key, minimum_column)
    condition = " AND ".join(conditions)
    if sqlite:
        return f"SELECT {selection} FROM json_each(?) r CROSS JOIN {table.name} t ON {condition}"
    if lock_order_column:
        order = f"ORDER BY t.{lock_order_column} FOR UPDATE OF t"
        source = f"{table.name} t JOIN {_format_recordset(table, key)} ON {_format_key_condition(key)}"
        return f"SELECT {selection} FROM {source} {order}"
    # OFFSET 0 keeps the look-ups separate: a single join would scan a table without statistics.
    lookup = f"SELECT {', '.join(columns)} FROM {table.name} t WHERE {condition} OFFSET 0"
    return f"SELECT {selection} FROM {_format_recordset(table, key)} CROSS JOIN LATERAL ({lookup}) t"


@cache
def format_changed_row_lock(table: Table, columns: ColumnNames, key: ColumnNames) -> str:
    """Return the query of `bulk.lock_changed_rows` on PostgreSQL."""
    version = "CAST(t.xmin AS text)"
    selection = ", ".join([version, *(f"t.{name}" for name in key), *(f"s.{name}" for name in columns)])
    key_rows = _format_recordset_of_types([*(_get_postgresql_type(table, name) for name in key), "TEXT"])
    changed_row = f"SELECT {', '.join(f't.{name}' for name in columns)}"
    changed_row += f" WHERE {version} IS DISTINCT FROM r.c{len(key)}"
    source = f"{table.name} t JOIN {key_rows} ON {_format_key_condition(key)}"
    source += f" LEFT JOIN LATERAL ({changed_row}) s ON true"
    return f"SELECT {selection} FROM {source} ORDER BY t.{key[-1]} FOR UPDATE OF t"


def _format_key_condition(key: ColumnNames, first: int = 0) -> str:
    """Return the condition that the row has the key, whose members are columns of `r` from number `first`.

    PostgreSQL cannot hash it. It would otherwise read all rows of the table if it has a few hundred.
    """
    return " AND ".join(f"t.{name} = ANY (ARRAY[r.c{first + index}])" for index, name in enumerate(key))


@cache
def format_join_query(width: int, joined_columns: tuple[JoinedColumns, ...], *, sqlite: bool) -> str:
    """Return the query of `bulk.load_joined_rows` for keys with `width` members."""
    key_members = [
        f"json_extract(r.value, '$.c{index}')" if sqlite else f"r.c{index}" for index in range(width)
    ]
    selection = key_members + [
        f"t{number}.{name}" for number, joined in enumerate(joined_columns) for name in joined.columns
    ]
    is_joined = " OR ".join(
        f"t{number}.{joined.on[0][0]} IS NOT NULL" for number, joined in enumerate(joined_columns)
    )
    if sqlite:
        joins = [
            f"{joined.table.name} t{number} ON "
            + " AND ".join(f"t{number}.{name} = {key_members[index]}" for name, index in joined.on)
            for number, joined in enumerate(joined_columns)
        ]
        source = "json_each(?) r"
    else:
        joins = [
            f"LATERAL ({_format_joined_lookup(joined)}) t{number} ON true"
            for number, joined in enumerate(joined_columns)
        ]
        types = {
            index: _get_postgresql_type(joined.table, name)
            for joined in joined_columns
            for name, index in joined.on
        }
        source = _format_recordset_of_types([types[index] for index in range(width)])
    joined_tables = " LEFT JOIN ".join([source, *joins])
    return f"SELECT {', '.join(selection)} FROM {joined_tables} WHERE {is_joined}"


def _format_joined_lookup(joined: JoinedColumns) -> str:
    condition = " AND ".join(f"t.{name} = r.c{index}" for name, index in joined.on)
    columns = dict.fromkeys((joined.on[0][0], *joined.columns))
    return f"SELECT {', '.join(columns)} FROM {joined.table.name} t WHERE {condition} OFFSET 0"


@cache
def format_name_query(table: Table, columns: ColumnNames, name: str) -> str:
    """Return the query of `bulk.load_rows_by_name` on PostgreSQL."""
    condition = f"t.{name} = r.c1 AND t.tenant_id + 0 = r.c0"
    lookup = f"SELECT {', '.join(columns)} FROM {table.name} t WHERE {condition} OFFSET 0"
    selection = ", ".join(f"t.{column}" for column in columns)
    keys = _format_recordset(table, ("tenant_id", name))
    return f"SELECT {selection} FROM {keys} CROSS JOIN LATERAL ({lookup}) t"
