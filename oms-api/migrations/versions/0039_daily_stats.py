"""The statistics of each portfolio and day are kept as rows once the day is over."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount
from app.database.policies import enable_row_security, prepare_role

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_TABLE = "daily_stats"
_AMOUNTS = ("volume", "realized_pnl", "charges", "max_drawdown")


def upgrade() -> None:
    """Create the table. The job `daily statistics` stores the days so far."""
    op.create_table(
        _TABLE,
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("trades", "wins", "losses")),
        *(sa.Column(name, Amount(), nullable=False) for name in _AMOUNTS),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_daily_stats_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "portfolio_id", "date", name=op.f("pk_daily_stats")),
    )
    for statement in _guards():
        op.execute(statement)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_TABLE)


def _guards() -> list[str]:
    """Return the statements that make the table append-only and visible to its tenant alone."""
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        return [
            f"CREATE TRIGGER {_TABLE}_refuse_{verb.lower()} BEFORE {verb} ON {_TABLE} "
            f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only: {verb} is refused'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE TRIGGER {_TABLE}_are_append_only BEFORE UPDATE OR DELETE ON {_TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {_TABLE}_are_not_emptied BEFORE TRUNCATE ON {_TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
        *enable_row_security(_TABLE, "SELECT, INSERT", with_role=prepare_role(bind)),
    ]
