"""Signals, the rules by which they become orders, and the hooks that receive them."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant, Serial
from app.database.policies import enable_row_security, prepare_role

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_MODES = "('trade', 'approve', 'record')"
_SIZES = "('qty', 'notional', 'percent_of_equity', 'target_position', 'close')"
_STATUSES = "('received', 'filled', 'ordered', 'awaiting_approval', 'recorded', 'expired', 'rejected')"
_IS_RECEIVED = sa.text("status = 'received'")
_VERBS = {
    "signal_strategies": "SELECT, INSERT, UPDATE, DELETE",
    "signals": "SELECT, INSERT, UPDATE",
    "signal_hooks": "SELECT, INSERT, UPDATE, DELETE",
}


def upgrade() -> None:
    """Create the tables; no tenant has a signal yet."""
    _create_strategies()
    _create_signals()
    _create_hooks()
    if op.get_bind().dialect.name == "sqlite":
        return
    with_role = prepare_role(op.get_bind())
    for table, verbs in _VERBS.items():
        for statement in enable_row_security(table, verbs, with_role=with_role):
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables. Orders of signals are kept."""
    op.drop_table("signal_hooks")
    op.drop_table("signals")
    op.drop_table("signal_strategies")


def _list_home(table: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_id"],
            ["portfolios.tenant_id", "portfolios.id"],
            name=op.f(f"fk_{table}_tenant_id_portfolio_id_portfolios"),
        )
    ]


def _create_strategies() -> None:
    op.create_table(
        "signal_strategies",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=True),
        sa.Column("mode", sa.String(length=7), nullable=False),
        sa.Column("size_kind", sa.String(length=17), nullable=True),
        sa.Column("size_value", Amount(), nullable=True),
        sa.Column("symbols", sa.Text(), nullable=True),
        sa.Column("updated_by", sa.String(length=300), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint(f"mode IN {_MODES}", name=op.f("ck_signal_strategies_mode_is_known")),
        sa.CheckConstraint(f"size_kind IN {_SIZES}", name=op.f("ck_signal_strategies_size_is_known")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_signal_strategies_tenant_id_tenants")
        ),
        *_list_home("signal_strategies"),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_signal_strategies")),
    )


def _create_signals() -> None:
    op.create_table(
        "signals",
        sa.Column("number", Serial, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=150), nullable=False),
        sa.Column("channel", sa.String(length=5), nullable=False),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("person", sa.String(length=300), nullable=True),
        sa.Column("strategy", sa.String(length=100), nullable=True),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=40), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=True),
        sa.Column("size_kind", sa.String(length=17), nullable=False),
        sa.Column("size_value", Amount(), nullable=True),
        sa.Column("price", Amount(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("mode", sa.String(length=7), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("order_side", sa.String(length=4), nullable=True),
        sa.Column("quantity", Amount(), nullable=True),
        sa.Column("notional", Amount(), nullable=True),
        sa.Column("status", sa.String(length=17), nullable=False),
        sa.Column("outcome_reason", sa.Text(), nullable=True),
        sa.Column("order_ids", sa.Text(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("completed_at", Instant(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.CheckConstraint(f"mode IN {_MODES}", name=op.f("ck_signals_mode_is_known")),
        sa.CheckConstraint(f"size_kind IN {_SIZES}", name=op.f("ck_signals_size_is_known")),
        sa.CheckConstraint(f"status IN {_STATUSES}", name=op.f("ck_signals_status_is_known")),
        sa.CheckConstraint(
            "(status = 'received') = (completed_at IS NULL)", name=op.f("ck_signals_outcome_has_a_time")
        ),
        *_list_home("signals"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_signals")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_signals_tenant_id_id")),
    )
    op.create_index("ix_signals_tenant_id_number", "signals", ["tenant_id", "number"])
    op.create_index(
        "ix_signals_received",
        "signals",
        ["received_at"],
        postgresql_where=_IS_RECEIVED,
        sqlite_where=_IS_RECEIVED,
    )


def _create_hooks() -> None:
    op.create_table(
        "signal_hooks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("strategy", sa.String(length=100), nullable=True),
        sa.Column("template", sa.Text(), nullable=True),
        sa.Column("paths", sa.Text(), nullable=True),
        sa.Column("networks", sa.Text(), nullable=True),
        sa.Column("max_age_seconds", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("rotated_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_signal_hooks_tenant_id_tenants")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_hooks")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_signal_hooks_token_hash")),
    )
    op.create_index("ix_signal_hooks_tenant_id_created_at", "signal_hooks", ["tenant_id", "created_at"])
