"""Idempotency keys and client order ids are unique in their portfolio; tenants set the opening cash."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_BY_KEY = "ix_trades_idempotency_key_tenant_id"
_CASH = ("tenants", "default_opening_cash")
# Table, columns of the constraint before, and after.
_UNIQUE = (
    ("trades", "tenant_id, kind, idempotency_key", "idempotency_key, tenant_id, portfolio_id, kind"),
    ("orders", "client_order_id, tenant_id", "client_order_id, tenant_id, portfolio_id"),
    ("orders", "idempotency_key, tenant_id", "idempotency_key, tenant_id, portfolio_id"),
)


def upgrade() -> None:
    """Change the constraints and add the column."""
    for table, previous, current in _UNIQUE:
        _replace(table, previous, current)
    op.drop_index(_BY_KEY, "trades")  # the new constraint's index begins with the same columns
    op.add_column(_CASH[0], sa.Column(_CASH[1], Amount(), nullable=False, server_default="1000000.00000000"))


def downgrade() -> None:
    """Restore the constraints. Raises RuntimeError where portfolios share a key."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"  # the policies bind the owner too
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    for table, previous, current in _UNIQUE:
        name = current.partition(", ")[0]
        shared = f"SELECT 1 FROM {table} WHERE {name} IS NOT NULL GROUP BY {previous} HAVING count(*) > 1"
        if bind.execute(sa.text(f"{shared} LIMIT 1")).first():
            raise RuntimeError("Portfolios of one tenant share a key: restore a backup instead.")
    op.execute(f"ALTER TABLE {_CASH[0]} DROP COLUMN {_CASH[1]}")
    has_key = sa.text("idempotency_key IS NOT NULL")
    columns = ["idempotency_key", "tenant_id"]
    op.create_index(_BY_KEY, "trades", columns, postgresql_where=has_key, sqlite_where=has_key)
    for table, previous, current in _UNIQUE:
        _replace(table, current, previous)


def _replace(table: str, previous: str, current: str) -> None:
    old, new = (f"CONSTRAINT {_name(table, columns)} UNIQUE ({columns})" for columns in (previous, current))
    if op.get_bind().dialect.name == "sqlite":
        _rewrite_schema(table, old, new)
        return
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {_name(table, previous)}, ADD {new}")


def _name(table: str, columns: str) -> str:
    return f"uq_{table}_{columns.replace(', ', '_')}"


def _rewrite_schema(table: str, previous: str, current: str) -> None:
    """Change a constraint in place, and build its index anew. A copy of the table would lose its triggers."""
    bind = op.get_bind()
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    changed = bind.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = ? AND instr(sql, ?) > 0",
        (previous, current, table, previous),
    )
    if changed.rowcount != 1:
        raise RuntimeError(f"The table {table} is not as this service made it.")
    bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema = OFF")
    bind.exec_driver_sql(f"REINDEX {table}")
