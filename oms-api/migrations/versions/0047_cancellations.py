"""Cancellations of many portfolios are stored, and done portfolio by portfolio."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0047"
down_revision = "0042"
branch_labels = None
depends_on = None

_IS_UNDONE = sa.text("order_ids IS NULL")
_SYMBOL = sa.String(40).with_variant(sa.String(20), "sqlite")


def upgrade() -> None:
    """Create the tables; nothing is being cancelled."""
    op.create_table(
        "cancellations",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=True),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("symbol", _SYMBOL, nullable=True),
        sa.Column("side", sa.String(length=4), nullable=True),
        sa.Column("strategy", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_cancellations")),
        sa.UniqueConstraint(
            "tenant_id", "idempotency_key", name=op.f("uq_cancellations_tenant_id_idempotency_key")
        ),
    )
    op.create_table(
        "portfolio_cancellations",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("cancellation_id", sa.String(length=32), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("order_ids", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "cancellation_id"],
            ["cancellations.tenant_id", "cancellations.id"],
            name=op.f("fk_portfolio_cancellations_tenant_id_cancellation_id_cancellations"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_portfolio_cancellations_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "cancellation_id", "portfolio_id", name=op.f("pk_portfolio_cancellations")
        ),
    )
    op.create_index(
        "ix_portfolio_cancellations_undone",
        "portfolio_cancellations",
        ["tenant_id"],
        unique=False,
        postgresql_where=_IS_UNDONE,
        sqlite_where=_IS_UNDONE,
    )
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        return
    with_role = prepare_role(bind)
    for table, verbs in (
        ("cancellations", "SELECT, INSERT"),
        ("portfolio_cancellations", "SELECT, INSERT, UPDATE"),
    ):
        for statement in enable_row_security(table, verbs, with_role=with_role):
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables. Orders that are not canceled yet stay open."""
    op.drop_table("portfolio_cancellations")
    op.drop_table("cancellations")
