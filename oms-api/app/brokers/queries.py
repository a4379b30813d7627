"""Queries of the connections to brokers."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from app.brokers.models import BrokerConnectionRow
from app.ledger.models import Portfolio


class StoredConnection(NamedTuple):
    """A connection. The credentials are encrypted."""

    id: str
    tenant_id: int
    name: str
    broker: str
    is_live: bool
    account: str | None
    base_url: str
    credentials: str
    live_enabled_by: str | None
    live_enabled_at: datetime | None
    status: str
    error: str | None
    connected_since: datetime | None
    last_event_at: datetime | None
    checked_at: datetime | None
    requests_left: int | None
    session_expires_at: datetime | None
    cursor: int
    version: int
    created_by: str
    changed_by: str
    created_at: datetime
    updated_at: datetime
    reconcile_requested_at: datetime | None = None
    critical_issues: int = 0
    circuit: str = "closed"
    failures: int = 0
    failure_kind: str | None = None
    circuit_opened_at: datetime | None = None
    next_attempt_at: datetime | None = None
    people: str | None = None


_COLUMNS = tuple(getattr(BrokerConnectionRow, name) for name in StoredConnection._fields)


def list_connections(connection: Connection, tenant_id: int | None = None) -> list[StoredConnection]:
    """Return the connections of a tenant by name, or those of every tenant that `connection` can read."""
    statement = select(*_COLUMNS).order_by(BrokerConnectionRow.tenant_id, BrokerConnectionRow.name)
    if tenant_id is not None:
        statement = statement.where(BrokerConnectionRow.tenant_id == tenant_id)
    return [StoredConnection._make(row) for row in connection.execute(statement)]


def find_connection(
    connection: Connection, tenant_id: int, name: str, *, locks: bool = False
) -> StoredConnection | None:
    """Return a connection of the tenant. With `locks`, it does not change until the transaction ends."""
    statement = select(*_COLUMNS).where(*_is_named(tenant_id, name))
    row = connection.execute(statement.with_for_update() if locks else statement).one_or_none()
    return StoredConnection._make(row) if row else None


def find_connection_by_account(
    connection: Connection, tenant_id: int, broker: str, account: str
) -> StoredConnection | None:
    """Return the tenant's connection to an account."""
    same = (
        BrokerConnectionRow.tenant_id == tenant_id,
        BrokerConnectionRow.broker == broker,
        BrokerConnectionRow.account == account,
    )
    row = connection.execute(select(*_COLUMNS).where(*same)).one_or_none()
    return StoredConnection._make(row) if row else None


def count_connections(connection: Connection, tenant_id: int) -> int:
    """Return the number of connections of the tenant."""
    statement = select(func.count()).select_from(BrokerConnectionRow)
    return connection.execute(statement.where(BrokerConnectionRow.tenant_id == tenant_id)).scalar_one()


def insert_connection(connection: Connection, stored: StoredConnection) -> None:
    """Insert a connection."""
    connection.execute(insert(BrokerConnectionRow).values(**stored._asdict()))


def update_connection(connection: Connection, stored: StoredConnection, changes: dict[str, Any]) -> None:
    """Update columns of a connection, and its version, by which its session notices the change."""
    statement = update(BrokerConnectionRow).where(*_is_named(stored.tenant_id, stored.name))
    connection.execute(statement.values(version=BrokerConnectionRow.version + 1, **changes))


def update_session_state(
    connection: Connection, tenant_id: int, name: str, version: int, changes: dict[str, Any]
) -> bool:
    """Update what a session knows of its connection. Return False if the connection changed meanwhile."""
    is_same = (*_is_named(tenant_id, name), BrokerConnectionRow.version == version)
    return connection.execute(update(BrokerConnectionRow).where(*is_same).values(**changes)).rowcount == 1


def replace_credentials(connection: Connection, connection_id: str, previous: str, current: str) -> bool:
    """Replace encrypted credentials unless they changed meanwhile."""
    is_same = (BrokerConnectionRow.id == connection_id, BrokerConnectionRow.credentials == previous)
    return (
        connection.execute(update(BrokerConnectionRow).where(*is_same).values(credentials=current)).rowcount
        == 1
    )


def delete_connection(connection: Connection, stored: StoredConnection) -> None:
    """Delete a connection."""
    connection.execute(delete(BrokerConnectionRow).where(*_is_named(stored.tenant_id, stored.name)))


def find_portfolio_names(connection: Connection, tenant_id: int) -> dict[str, str]:
    """Return the name of the portfolio that trades over each connection."""
    columns = (Portfolio.broker_connection, Portfolio.name)
    is_connected = (Portfolio.tenant_id == tenant_id, Portfolio.broker_connection.is_not(None))
    rows = connection.execute(select(*columns).where(*is_connected))
    return {name: portfolio_name for name, portfolio_name in rows if name is not None}


def _is_named(tenant_id: int, name: str) -> tuple[ColumnElement[bool], ...]:
    return (BrokerConnectionRow.tenant_id == tenant_id, BrokerConnectionRow.name == name)
