"""Corporate actions, and the rows of the ledger that they book."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant
from app.database.policies import enable_row_security, prepare_role
from app.instruments.models import SymbolText

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_INDEX = "ix_trades_of_corporate_actions"
_CHECK = "ck_trades_kind_is_known"
_PREVIOUS = "kind IN ('trade', 'reversal')"
_CURRENT = "kind IN ('trade', 'reversal', 'split', 'transfer')"
_AMOUNTS = ("new_units", "old_units", "amount", "withholding_percent", "cash_in_lieu_price")


def upgrade() -> None:
    """Create the table, and allow the ledger to hold splits and transfers between symbols."""
    _replace_check(_PREVIOUS, _CURRENT)
    op.create_table(
        "corporate_actions",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=13), nullable=False),
        sa.Column("symbol", SymbolText, nullable=False),
        sa.Column("new_symbol", SymbolText, nullable=True),
        *(sa.Column(name, Amount(), nullable=True) for name in _AMOUNTS),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("ex_date", sa.String(length=10), nullable=False),
        sa.Column("effective_at", Instant(), nullable=False),
        sa.Column("pay_date", sa.String(length=10), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("booked_at", Instant(), nullable=True),
        sa.Column("reversed_at", Instant(), nullable=True),
        sa.Column("reversal_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('split', 'symbol_change', 'dividend')", name=op.f("ck_corporate_actions_kind_is_known")
        ),
        sa.CheckConstraint(
            "(reversed_at IS NULL) = (reversal_reason IS NULL)",
            name=op.f("ck_corporate_actions_reversal_has_a_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_corporate_actions_tenant_id_tenants")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_corporate_actions")),
    )
    is_action = sa.text("kind IN ('split', 'transfer')")
    op.create_index(
        _INDEX,
        "trades",
        ["tenant_id", "portfolio_id", "symbol"],
        postgresql_where=is_action,
        sqlite_where=is_action,
    )
    if op.get_bind().dialect.name == "sqlite":
        return
    verbs = "SELECT, INSERT, UPDATE"
    for statement in enable_row_security("corporate_actions", verbs, with_role=prepare_role(op.get_bind())):
        op.execute(statement)


def downgrade() -> None:
    """Drop the table. Raises RuntimeError where a corporate action was recorded."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"  # the policies bind the owner too
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    if bind.execute(sa.text("SELECT count(*) FROM corporate_actions")).scalar_one():
        raise RuntimeError("There are corporate actions: restore a backup instead.")
    op.drop_index(_INDEX, "trades")
    op.drop_table("corporate_actions")
    _replace_check(_CURRENT, _PREVIOUS)


def _replace_check(previous: str, current: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rewrite_schema(*(f"CONSTRAINT {_CHECK} CHECK ({rule})" for rule in (previous, current)))
        return
    op.execute(f"ALTER TABLE trades DROP CONSTRAINT {_CHECK}")
    op.execute(f"ALTER TABLE trades ADD CONSTRAINT {_CHECK} CHECK ({current})")


def _rewrite_schema(previous: str, current: str) -> None:
    """Change a check in place, as SQLite's documentation of ALTER TABLE describes.

    A copy of the table would lose its triggers.
    """
    bind = op.get_bind()
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    changed = bind.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'trades' AND instr(sql, ?) > 0",
        (previous, current, previous),
    )
    if changed.rowcount != 1:
        raise RuntimeError("The table of trades is not as this service made it.")
    bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema = OFF")
