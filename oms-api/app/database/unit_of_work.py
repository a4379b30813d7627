"""Transactions. Only this module and group commit commit writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import Connection, Engine

from app.database.tenants import set_all_tenants_scope, set_tenant_scope

TenantScope = int | Literal["all tenants"] | None  # the tenant whose rows a transaction may see
ALL_TENANTS: Literal["all tenants"] = "all tenants"


@contextmanager
def unit_of_work(engine: Engine, scope: TenantScope = None) -> Iterator[Connection]:
    """Yield a connection in a transaction that commits when the block ends, and rolls back when it raises."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield _set_scope(connection, scope)


@contextmanager
def snapshot(engine: Engine, scope: TenantScope = None) -> Iterator[Connection]:
    """Yield a read-only connection on one snapshot of the database (REPEATABLE READ)."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield _set_scope(connection, scope)


def _set_scope(connection: Connection, scope: TenantScope) -> Connection:
    if scope is None:
        return connection
    return (
        set_all_tenants_scope(connection) if scope == ALL_TENANTS else set_tenant_scope(connection, [scope])
    )
