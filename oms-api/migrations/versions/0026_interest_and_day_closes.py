"""Portfolios accrue interest and borrow fees by dated rates, and days are signed off."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_DAILY = "uq_cash_movements_daily"
_IS_DAILY = sa.text("kind IN ('interest', 'borrow')")
_DAYS, _FIGURES, _BREAKS = "day_closes", "day_close_figures", "day_close_breaks"
_AMOUNTS = (
    *("cash", "market_value", "gross_exposure", "equity", "flows", "realized_pnl", "price", "exchange"),
    *("interest", "borrow", "dividends", "fees", "adjustments", "day_pnl"),
)


def upgrade() -> None:
    """Add the columns and the tables, and allow one movement of interest and one of borrow fees a day."""
    op.add_column("portfolios", sa.Column("carry_rates", sa.Text(), nullable=True))
    op.add_column("portfolios", sa.Column("accrued_until", Instant(), nullable=True))
    op.add_column("equity_snapshots", sa.Column("currencies", sa.Text(), nullable=True))
    op.create_index(
        _DAILY,
        "cash_movements",
        ["tenant_id", "portfolio_id", "kind", "day"],
        unique=True,
        postgresql_where=_IS_DAILY,
        sqlite_where=_IS_DAILY,
    )
    _create_days()
    _create_figures()
    _create_breaks()
    for table in (_DAYS, _FIGURES, _BREAKS):
        for statement in _guards(table):
            op.execute(statement)


def _create_days() -> None:
    op.create_table(
        _DAYS,
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("signed_by", sa.String(length=300), nullable=False),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("signed_at", Instant(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("rates", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_day_closes_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "date", name=op.f("pk_day_closes")),
    )


def _create_figures() -> None:
    op.create_table(
        _FIGURES,
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("portfolio_name", sa.String(length=100), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=False),
        sa.Column("trades", sa.BigInteger(), nullable=False),
        *(sa.Column(name, Amount(), nullable=False) for name in _AMOUNTS),
        *_foreign_keys(_FIGURES),
        sa.PrimaryKeyConstraint("tenant_id", "date", "portfolio_id", name=op.f("pk_day_close_figures")),
    )


def _create_breaks() -> None:
    op.create_table(
        _BREAKS,
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("portfolio_name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('working_order', 'awaiting_approval', 'stale_mark', 'unverified_row', "
            "'trading_stopped', 'missing_close', 'missing_rate')",
            name=op.f("ck_day_close_breaks_kind_is_known"),
        ),
        *_foreign_keys(_BREAKS),
        sa.PrimaryKeyConstraint("tenant_id", "date", "number", name=op.f("pk_day_close_breaks")),
    )


def _foreign_keys(table: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint(
            ["tenant_id", "date"],
            [f"{_DAYS}.tenant_id", f"{_DAYS}.date"],
            name=op.f(f"fk_{table}_tenant_id_date_{_DAYS}"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f(f"fk_{table}_tenant_id_portfolio_id_portfolios"),
        ),
    ]


def _guards(table: str) -> list[str]:
    """Return the statements that make a table append-only and visible to its tenant alone."""
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        return [
            f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {verb} is refused'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE TRIGGER {table}_are_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {table}_are_not_emptied BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
        *enable_row_security(table, "SELECT, INSERT", with_role=prepare_role(bind)),
    ]


def downgrade() -> None:
    """Drop the tables, the index and the columns. Raises RuntimeError where days were signed off."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"  # the policies bind the owner too
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    if bind.execute(sa.text(f"SELECT count(*) FROM {_DAYS}")).scalar_one():
        raise RuntimeError("There are days that were signed off: restore a backup instead.")
    for table in (_BREAKS, _FIGURES, _DAYS):
        op.drop_table(table)
    op.drop_index(_DAILY, "cash_movements")
    op.drop_column("equity_snapshots", "currencies")
    op.drop_column("portfolios", "accrued_until")
    op.drop_column("portfolios", "carry_rates")
