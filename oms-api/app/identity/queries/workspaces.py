"""Queries of the tenant that a Slack workspace belongs to."""

from datetime import datetime

from sqlalchemy import Connection, delete

from app.database import build_insert_missing, execute_writes
from app.identity.models import SlackWorkspace
from app.identity.queries.credentials import find_tenant_of_workspace
from app.timestamps import format_timestamp


def claim_workspace(connection: Connection, tenant_id: int, team_id: str, now: datetime) -> bool:
    """Bind a Slack workspace to the tenant unless it is already bound. Return whether this call bound it."""
    if find_tenant_of_workspace(connection, team_id) is not None:
        return False
    row = (team_id, tenant_id, format_timestamp(now))
    execute_writes(connection, build_insert_missing(_WORKSPACES, ("team_id", "tenant_id", "bound_at"), [row]))
    return find_tenant_of_workspace(connection, team_id) == tenant_id


def release_workspace(connection: Connection, tenant_id: int, team_id: str) -> bool:
    """Release a workspace of the tenant. Return False if it is not the tenant's."""
    statement = delete(SlackWorkspace).where(
        SlackWorkspace.tenant_id == tenant_id, SlackWorkspace.team_id == team_id
    )
    return connection.execute(statement).rowcount == 1


_WORKSPACES = SlackWorkspace.metadata.tables["slack_workspaces"]
