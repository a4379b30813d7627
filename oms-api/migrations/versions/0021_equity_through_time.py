"""Duties with their leases, and snapshots of the equity of portfolios."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant
from app.database.policies import enable_row_security, grant_privileges, prepare_role

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_AMOUNTS = (
    *("cash", "market_value", "gross_exposure", "equity"),
    *("realized_pnl", "unrealized_pnl", "charges", "flows"),
)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "duties",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=True),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duties")),
    )
    op.create_table(
        "equity_snapshots",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        *(sa.Column(name, Amount(), nullable=False) for name in _AMOUNTS),
        sa.CheckConstraint(
            "kind IN ('interval', 'close', 'flow')", name=op.f("ck_equity_snapshots_kind_is_known")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_equity_snapshots_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "portfolio_id", "at", "kind", name=op.f("pk_equity_snapshots")),
    )
    is_kept = sa.text("kind <> 'interval'")
    op.create_index(
        "ix_equity_snapshots_kept",
        "equity_snapshots",
        ["tenant_id", "portfolio_id", "at"],
        unique=False,
        postgresql_where=is_kept,
        sqlite_where=is_kept,
    )
    if op.get_bind().dialect.name == "sqlite":
        return
    with_role = prepare_role(op.get_bind())
    verbs = "SELECT, INSERT, UPDATE, DELETE"
    for statement in enable_row_security("equity_snapshots", verbs, with_role=with_role):
        op.execute(statement)
    for statement in grant_privileges("duties", verbs) if with_role else ():
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("equity_snapshots")
    op.drop_table("duties")
