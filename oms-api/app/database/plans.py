"""What PostgreSQL's planner is told where it knows no statistics."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection


@contextmanager
def presorted(connection: Connection) -> Iterator[None]:
    """Let PostgreSQL read pages in the order of an index, and never sort all rows for one.

    A planner without statistics takes a tenant for so small that it may read and sort all of it.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    connection.exec_driver_sql("SET LOCAL enable_sort = off")
    yield
    connection.exec_driver_sql("SET LOCAL enable_sort = on")
