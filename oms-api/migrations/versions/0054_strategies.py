"""Strategies with their versions, states and journals, and backtests that run as jobs."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0054"
down_revision = "0051"
branch_labels = None
depends_on = None

_IS_UNFINISHED = sa.text("status IN ('queued', 'running')")
_TABLES = (  # in the order of their creation, with what the service may do
    ("strategies", "SELECT, INSERT, UPDATE, DELETE"),
    ("strategy_versions", "SELECT, INSERT"),
    ("strategy_states", "SELECT, INSERT, UPDATE"),
    ("strategy_inputs", "SELECT, INSERT, DELETE"),
    ("backtests", "SELECT, INSERT, UPDATE, DELETE"),
    ("backtest_files", "SELECT, INSERT, DELETE"),
)


def upgrade() -> None:
    """Create the tables. Each strategy that has rules of signals is active, as before."""
    _create_strategies()
    _create_strategy_versions()
    _create_journals()
    _create_backtests()
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":  # row-level security applies to the owner where there is no role
        every = "(SELECT '{' || coalesce(string_agg(id::text, ','), '') || '}' FROM tenants)"
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    op.execute(
        "INSERT INTO strategies (tenant_id, name, id, kind, portfolio_id, parameters, mode, version, status,"
        " run, created_by, created_at, updated_by, updated_at)"
        " SELECT tenant_id, name, 'G' || row_number() OVER (ORDER BY tenant_id, name), 'signals',"
        " portfolio_id, '{}', 'paper', 1, 'ACTIVE', 0, updated_by, updated_at, updated_by, updated_at"
        " FROM signal_strategies"
    )
    if bind.dialect.name == "sqlite":
        return
    with_role = prepare_role(bind)
    for table, verbs in _TABLES:
        for statement in enable_row_security(table, verbs, with_role=with_role):
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables. Orders of strategies are kept."""
    for table, _ in reversed(_TABLES):
        op.drop_table(table)


def _create_strategies() -> None:
    op.create_table(
        "strategies",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=7), nullable=False),
        sa.Column("entry_point", sa.String(length=300), nullable=True),
        sa.Column("code_hash", sa.String(length=64), nullable=True),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=True),
        sa.Column("symbols", sa.Text(), nullable=True),
        sa.Column("interval", sa.String(length=3), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("mode", sa.String(length=5), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("failed_at", Instant(), nullable=True),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("started_by", sa.String(length=300), nullable=True),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_by", sa.String(length=300), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint("kind IN ('code', 'signals')", name=op.f("ck_strategies_kind_is_known")),
        sa.CheckConstraint("mode IN ('paper', 'live')", name=op.f("ck_strategies_mode_is_known")),
        sa.CheckConstraint(
            "status IN ('INACTIVE', 'ACTIVE', 'PAUSED', 'ERROR')", name=op.f("ck_strategies_status_is_known")
        ),
        sa.CheckConstraint(
            "(kind = 'code') = (entry_point IS NOT NULL AND code_hash IS NOT NULL"
            " AND portfolio_id IS NOT NULL AND interval IS NOT NULL AND symbols IS NOT NULL)",
            name=op.f("ck_strategies_code_is_whole"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_strategies_tenant_id_tenants")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f("fk_strategies_tenant_id_portfolio_id_portfolios"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_strategies")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_strategies_tenant_id_id")),
    )


def _create_strategy_versions() -> None:
    op.create_table(
        "strategy_versions",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("strategy", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("entry_point", sa.String(length=300), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("symbols", sa.Text(), nullable=False),
        sa.Column("interval", sa.String(length=3), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        _of_strategy("strategy_versions"),
        sa.PrimaryKeyConstraint("tenant_id", "strategy", "version", name=op.f("pk_strategy_versions")),
    )


def _create_journals() -> None:
    op.create_table(
        "strategy_states",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("strategy", sa.String(length=100), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("processed", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        _of_strategy("strategy_states"),
        sa.PrimaryKeyConstraint("tenant_id", "strategy", name=op.f("pk_strategy_states")),
    )
    op.create_table(
        "strategy_inputs",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("strategy", sa.String(length=100), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=5), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "kind IN ('start', 'bars', 'quote', 'fill', 'order', 'stop')",
            name=op.f("ck_strategy_inputs_kind_is_known"),
        ),
        _of_strategy("strategy_inputs"),
        sa.PrimaryKeyConstraint("tenant_id", "strategy", "sequence", name=op.f("pk_strategy_inputs")),
    )


def _of_strategy(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "strategy"],
        ["strategies.tenant_id", "strategies.name"],
        name=op.f(f"fk_{table}_tenant_id_strategy_strategies"),
    )


def _create_backtests() -> None:
    op.create_table(
        "backtests",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("strategy", sa.String(length=300), nullable=False),
        sa.Column("entry_point", sa.String(length=300), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("symbols", sa.Text(), nullable=False),
        sa.Column("interval", sa.String(length=3), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("cash", Amount(), nullable=False),
        sa.Column("costs", sa.String(length=60), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=7), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("data_hash", sa.String(length=64), nullable=True),
        sa.Column("result_hash", sa.String(length=64), nullable=True),
        sa.Column("statistics", sa.Text(), nullable=True),
        sa.Column("holder", sa.String(length=100), nullable=True),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_backtests_status_is_known")
        ),
        sa.CheckConstraint(
            "(status = 'done') = (result_hash IS NOT NULL)", name=op.f("ck_backtests_result_is_whole")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_backtests_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_backtests")),
    )
    op.create_index(
        "ix_backtests_unfinished",
        "backtests",
        ["created_at"],
        postgresql_where=_IS_UNFINISHED,
        sqlite_where=_IS_UNFINISHED,
    )
    op.create_table(
        "backtest_files",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("backtest_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "backtest_id"],
            ["backtests.tenant_id", "backtests.id"],
            name=op.f("fk_backtest_files_tenant_id_backtest_id_backtests"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "backtest_id", "name", name=op.f("pk_backtest_files")),
    )
