"""Hints for PostgreSQL's planner where it has no statistics."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection


@contextmanager
def forbid_full_sorts(connection: Connection) -> Iterator[None]:
    """Let PostgreSQL read pages in the order of an index, and never sort all rows for one.

    Without statistics the planner assumes that a tenant is small, and may read and sort all its rows.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    connection.exec_driver_sql("SET LOCAL enable_sort = off")
    yield
    connection.exec_driver_sql("SET LOCAL enable_sort = on")
