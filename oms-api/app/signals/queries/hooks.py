"""Statements about hooks."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from app.database import RecordTable
from app.identity.models import Tenant
from app.signals.models import SignalHookRow


class Hook(NamedTuple):
    """A row of `signal_hooks`. `paths` is a JSON object, `networks` are separated by spaces."""

    id: str
    tenant_id: int
    name: str
    token_hash: str
    strategy: str | None
    template: str | None
    paths: str | None
    networks: str | None
    max_age_seconds: int
    created_by: str
    created_at: datetime
    rotated_at: datetime | None


HOOKS = RecordTable(SignalHookRow, Hook)


def find_hook_by_token(connection: Connection, token_hash: str) -> Hook | None:
    """Return the hook of an active tenant in scope with that token."""
    is_active = select(Tenant.id).where(Tenant.id == SignalHookRow.tenant_id, Tenant.status == "active")
    return HOOKS.find(connection, is_active.exists(), token_hash=token_hash)


def list_hooks(connection: Connection, tenant_id: int) -> list[Hook]:
    """Return the hooks of the tenant, oldest first."""
    query = HOOKS.select(tenant_id=tenant_id)
    return HOOKS.read(connection, query.order_by(SignalHookRow.created_at, SignalHookRow.id))
