"""Names are compared with single spaces, plain quotes and plain dashes.

They hold no invisible characters. The service may delete sessions that ended long ago.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.database.policies import grant_privileges, prepare_role
from app.database.tenants import APP_ROLE
from app.text import label_key, name_key, remove_invisible

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NAME_LENGTH = 100
_PORTFOLIOS = "SELECT id, tenant_id, name, name_key FROM portfolios ORDER BY tenant_id, created_at, id"
_UPDATE_PORTFOLIO = (
    "UPDATE portfolios SET name = :name, name_key = :new WHERE id = :id AND tenant_id = :tenant"
)
# PostgreSQL and SQLite cascade the change of a portfolio's key; this is for a connection that does not.
_UPDATE_GRANTS = (
    "UPDATE portfolio_grants SET portfolio_key = :new WHERE tenant_id = :tenant AND portfolio_key = :key"
)
_NAMED = {"limits": "name_key", "kill_switches": "name_key", "latches": "name"}


def upgrade() -> None:
    """Write names and keys anew. Of two portfolios with one key the later one gets a number."""
    if op.get_bind().dialect.name != "sqlite":  # the policies may bind the owner too
        every = "(SELECT array_agg(id)::text FROM tenants)"
        op.get_bind().execute(sa.text(f"SELECT set_config('app.tenants', {every}, true)"))
        if prepare_role(op.get_bind()):
            for statement in grant_privileges("sessions", "DELETE"):
                op.execute(statement)
    renamed = _rename_portfolios(op.get_bind())
    for table, column in _NAMED.items():
        _rename_scopes(op.get_bind(), table, column, renamed)


def downgrade() -> None:
    """Revoke. The names stay as they are: the version before finds them too."""
    if op.get_bind().dialect.name != "sqlite" and prepare_role(op.get_bind()):
        op.execute(f"REVOKE DELETE ON sessions FROM {APP_ROLE}")


def _rename_portfolios(connection: sa.Connection) -> dict[tuple[int, str], tuple[str, str]]:
    """Return the new key and name by tenant and old key."""
    rows = connection.execute(sa.text(_PORTFOLIOS)).all()
    taken = {(row.tenant_id, row.name_key) for row in rows}
    renamed = {}
    for row in rows:
        name = remove_invisible(row.name).strip() or "Portfolio"
        key = name_key(name)
        if (name, key) == (row.name, row.name_key):
            continue
        if key != row.name_key:
            name, key = _unused(row.tenant_id, name, taken)
            taken.add((row.tenant_id, key))
        renamed[row.tenant_id, row.name_key] = (key, name)
        values = {"id": row.id, "tenant": row.tenant_id, "name": name, "new": key, "key": row.name_key}
        connection.execute(sa.text(_UPDATE_PORTFOLIO), values)
        connection.execute(sa.text(_UPDATE_GRANTS), values)
    return renamed


def _unused(tenant_id: int, name: str, taken: set[tuple[int, str]]) -> tuple[str, str]:
    number, free = 1, name
    while (tenant_id, name_key(free)) in taken:
        number += 1
        end = f" ({number})"
        free = name[: _NAME_LENGTH - len(end)] + end
    return free, name_key(free)


def _rename_scopes(
    connection: sa.Connection, table: str, column: str, renamed: dict[tuple[int, str], tuple[str, str]]
) -> None:
    """Let limits, kill switches and latches follow. Where a row of the new name exists, the old one stays."""
    named = sa.table(
        table, sa.column("tenant_id"), sa.column("scope"), sa.column("name"), sa.column("name_key")
    )
    rows = connection.execute(
        sa.select(named.c.tenant_id, named.c.scope, named.c[column].label("key"), named.c.name).distinct()
    ).all()
    known = {(row.tenant_id, row.scope, row.key) for row in rows}
    for row in rows:
        key, name = _renamed_scope(row, renamed)
        if key != row.key and (row.tenant_id, row.scope, key) not in known:
            mine = (
                named.c.tenant_id == row.tenant_id,
                named.c.scope == row.scope,
                named.c[column] == row.key,
            )
            connection.execute(sa.update(named).where(*mine).values({"name": name, column: key}))
            known.add((row.tenant_id, row.scope, key))


def _renamed_scope(row: Any, renamed: dict[tuple[int, str], tuple[str, str]]) -> tuple[str, str]:
    if row.scope == "portfolio":
        key = name_key(row.key)
        return renamed.get((row.tenant_id, row.key), (key, remove_invisible(row.name)))
    if row.scope in {"strategy", "user"}:
        return label_key(row.key), label_key(row.name)
    return row.key, row.name
