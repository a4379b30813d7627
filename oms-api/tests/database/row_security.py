"""The tables that row-level security protects, and the rows of them that a connection sees."""

from sqlalchemy import Connection, Table, select

import app.models  # noqa: F401  # fills the metadata
from app.database import METADATA

TABLES_WITHOUT_TENANT = {"tenants", "calendar_days", "duties", "duty_runs", "broker_rate_limits"}
# The last four are read by exact key before the tenant is known: see `app.identity.queries.credentials`.
TABLES_WITHOUT_POLICY = TABLES_WITHOUT_TENANT | {"api_keys", "logins", "sessions", "slack_workspaces"}
TENANT_TABLES = sorted(
    (table for table in METADATA.tables.values() if table.name not in TABLES_WITHOUT_POLICY),
    key=lambda table: table.name,
)


def find_visible_tenants(connection: Connection, table: Table) -> set[int]:
    """Return the tenants of the rows of a table that the connection sees."""
    return set(connection.execute(select(table.c.tenant_id)).scalars())
