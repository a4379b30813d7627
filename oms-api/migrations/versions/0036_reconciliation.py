"""Differences between our books and a broker's are issues that somebody resolves."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_TABLE = "reconciliation_issues"
_IS_OPEN = sa.text("status = 'open'")


def upgrade() -> None:
    """Create the table; no account was compared yet."""
    op.create_table(
        _TABLE,
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("connection", sa.String(length=60), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("severity", sa.String(length=8), nullable=False),
        sa.Column("symbol", sa.String(40).with_variant(sa.String(20), "sqlite"), nullable=True),
        sa.Column("order_id", sa.String(length=100), nullable=True),
        sa.Column("ours", sa.Text(), nullable=True),
        sa.Column("theirs", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("owner", sa.String(length=300), nullable=True),
        sa.Column("action", sa.String(length=12), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detected_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("resolved_at", Instant(), nullable=True),
        sa.Column("resolved_by", sa.String(length=300), nullable=True),
        sa.CheckConstraint(
            "severity IN ('info', 'warning', 'critical')",
            name=op.f("ck_reconciliation_issues_severity_is_known"),
        ),
        sa.CheckConstraint(
            "status IN ('open', 'resolved')", name=op.f("ck_reconciliation_issues_status_is_known")
        ),
        sa.CheckConstraint(
            "(status = 'resolved') = (resolved_at IS NOT NULL)",
            name=op.f("ck_reconciliation_issues_resolved_has_a_time"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_reconciliation_issues_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_reconciliation_issues")),
    )
    op.create_index(
        "ix_reconciliation_issues_open",
        _TABLE,
        ["tenant_id", "connection"],
        unique=False,
        postgresql_where=_IS_OPEN,
        sqlite_where=_IS_OPEN,
    )
    op.add_column("broker_connections", sa.Column("reconcile_requested_at", Instant(), nullable=True))
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        return
    for statement in enable_row_security(_TABLE, "SELECT, INSERT, UPDATE", with_role=prepare_role(bind)):
        op.execute(statement)


def downgrade() -> None:
    """Drop the table. The issues are found again after another upgrade, without their history."""
    op.drop_column("broker_connections", "reconcile_requested_at")
    op.drop_table(_TABLE)
