"""Statements about hooks."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

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


_COLUMNS = tuple(getattr(SignalHookRow, name) for name in Hook._fields)


def find_hook_by_token(connection: Connection, token_hash: str) -> Hook | None:
    """Return the hook of an active tenant in scope with that token."""
    statement = select(*_COLUMNS).join(Tenant, Tenant.id == SignalHookRow.tenant_id)
    is_match = (SignalHookRow.token_hash == token_hash, Tenant.status == "active")
    row = connection.execute(statement.where(*is_match)).one_or_none()
    return None if row is None else Hook._make(row)


def list_hooks(connection: Connection, tenant_id: int) -> list[Hook]:
    """Return the hooks of the tenant, oldest first."""
    statement = select(*_COLUMNS).where(SignalHookRow.tenant_id == tenant_id)
    rows = connection.execute(statement.order_by(SignalHookRow.created_at, SignalHookRow.id))
    return [Hook._make(row) for row in rows]


def find_hook(connection: Connection, tenant_id: int, hook_id: str) -> Hook | None:
    """Return a hook."""
    is_match = (SignalHookRow.tenant_id == tenant_id, SignalHookRow.id == hook_id)
    row = connection.execute(select(*_COLUMNS).where(*is_match)).one_or_none()
    return None if row is None else Hook._make(row)


def count_hooks(connection: Connection, tenant_id: int) -> int:
    """Return the number of the tenant's hooks."""
    statement = select(func.count()).select_from(SignalHookRow).where(SignalHookRow.tenant_id == tenant_id)
    return int(connection.execute(statement).scalar_one())


def insert_hook(connection: Connection, hook: Hook) -> None:
    """Insert a hook."""
    connection.execute(insert(SignalHookRow).values(**hook._asdict()))


def update_hook(connection: Connection, hook: Hook, changes: dict[str, Any]) -> None:
    """Update columns of a hook."""
    is_match = (SignalHookRow.tenant_id == hook.tenant_id, SignalHookRow.id == hook.id)
    connection.execute(update(SignalHookRow).where(*is_match).values(**changes))


def delete_hook(connection: Connection, hook: Hook) -> None:
    """Delete a hook."""
    is_match = (SignalHookRow.tenant_id == hook.tenant_id, SignalHookRow.id == hook.id)
    connection.execute(delete(SignalHookRow).where(*is_match))
