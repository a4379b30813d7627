"""Queries of the connections to brokers."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from app.brokers.models import BrokerConnectionRow
from app.database import RecordTable
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


CONNECTIONS = RecordTable(BrokerConnectionRow, StoredConnection)


def list_connections(connection: Connection, tenant_id: int | None = None) -> list[StoredConnection]:
    """Return the connections of a tenant, or of every tenant that `connection` can read, by name."""
    query = CONNECTIONS.select().order_by(BrokerConnectionRow.tenant_id, BrokerConnectionRow.name)
    return CONNECTIONS.read(connection, query if tenant_id is None else query.filter_by(tenant_id=tenant_id))


def find_connection(
    connection: Connection, tenant_id: int, name: str, *, locks: bool = False
) -> StoredConnection | None:
    """Return a connection of the tenant. With `locks`, it does not change until the transaction ends."""
    return CONNECTIONS.find(connection, locks=locks, tenant_id=tenant_id, name=name)


def update_connection(connection: Connection, stored: StoredConnection, changes: dict[str, Any]) -> None:
    """Update columns of a connection, and its version, by which its session notices the change."""
    values = {**changes, "version": BrokerConnectionRow.version + 1}
    CONNECTIONS.update(connection, values, tenant_id=stored.tenant_id, name=stored.name)


def update_session_state(
    connection: Connection, tenant_id: int, name: str, version: int, changes: dict[str, Any]
) -> bool:
    """Update the state that a session stores of its connection.

    Return False if the connection changed meanwhile.
    """
    return CONNECTIONS.update(connection, changes, tenant_id=tenant_id, name=name, version=version)


def load_names_by_connection(connection: Connection, tenant_id: int) -> dict[str, str]:
    """Return the name of the portfolio that trades over each connection."""
    columns = (Portfolio.broker_connection, Portfolio.name)
    is_connected = (Portfolio.tenant_id == tenant_id, Portfolio.broker_connection.is_not(None))
    rows = connection.execute(select(*columns).where(*is_connected))
    return {name: portfolio_name for name, portfolio_name in rows if name is not None}
