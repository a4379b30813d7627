"""Transactions. Only this module and group commit commit."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine


@contextmanager
def unit_of_work(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that commits when the block ends, and rolls back when it raises."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Yield a read-only connection on one snapshot of the database (REPEATABLE READ)."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection
