"""People have preferences and alerts."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_VERBS = {"preferences": "SELECT, INSERT, UPDATE", "alerts": "SELECT, INSERT, UPDATE, DELETE"}


def upgrade() -> None:
    """Create the tables; nobody has preferences or alerts yet."""
    op.create_table(
        "preferences",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=300), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "owner", name=op.f("pk_preferences")),
    )
    _create_alerts()
    if op.get_bind().dialect.name == "sqlite":
        return
    with_role = prepare_role(op.get_bind())
    for table, verbs in _VERBS.items():
        for statement in enable_row_security(table, verbs, with_role=with_role):
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("alerts")
    op.drop_table("preferences")


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=300), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("symbol", sa.String(length=40), nullable=True),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=True),
        sa.Column("direction", sa.String(length=5), nullable=False),
        sa.Column("threshold", Amount(), nullable=False),
        sa.Column("is_repeating", sa.Boolean(), nullable=False),
        sa.Column("deliver_to", sa.String(length=30), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_armed", sa.Boolean(), nullable=False),
        sa.Column("firing", sa.Integer(), nullable=False),
        sa.Column("value", Amount(), nullable=True),
        sa.Column("fired_at", Instant(), nullable=True),
        sa.Column("changed_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('price', 'day_pnl', 'drawdown', 'limit_use')", name=op.f("ck_alerts_kind_is_known")
        ),
        sa.CheckConstraint("direction IN ('above', 'below')", name=op.f("ck_alerts_direction_is_known")),
        sa.CheckConstraint(
            "(kind = 'price') = (symbol IS NOT NULL) AND (kind <> 'price') = (portfolio_id IS NOT NULL)",
            name=op.f("ck_alerts_has_a_subject"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_alerts_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_tenant_id_owner_id", "alerts", ["tenant_id", "owner", "id"])
    op.create_index("ix_alerts_updated_at", "alerts", ["updated_at"])
