"""Additions to orders, risk and the ledger: latches, and the other topics below."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.database import Instant, build_update, execute_writes
from app.database.policies import enable_row_security, grant_privileges, prepare_role
from app.database.tenants import APP_ROLE
from app.timestamps import format_timestamp

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add."""
    _currencies()
    _position_times()
    _order_filters()
    _latches()


def downgrade() -> None:
    """Take away, the last first. Refused once there is a trade whose hash covers what would be dropped."""
    _refuse_to_forget()
    _drop_latches()
    _drop_order_filters()
    _drop_position_times()
    _drop_currencies()


def _latches() -> None:
    """Latches of strategies and keys; limits that are lists; switches that follow a renamed portfolio."""
    op.create_table(
        "latches",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("executions", sa.Integer(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.Column("released_at", Instant(), nullable=True),
        sa.Column("released_by", sa.String(length=300), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("scope IN ('strategy', 'key')", name=op.f("ck_latches_scope_is_known")),
        sa.CheckConstraint(
            "(released_at IS NULL) = (released_by IS NULL)",
            name=op.f("ck_latches_a_released_one_says_by_whom"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_latches")),
    )
    stands = sa.text("released_at IS NULL")
    op.create_index(
        "uq_latches_standing",
        "latches",
        ["tenant_id", "scope", "name", "symbol"],
        unique=True,
        postgresql_where=stands,
        sqlite_where=stands,
    )
    op.execute("ALTER TABLE limits ADD COLUMN words TEXT")
    _grant("latches", "SELECT, INSERT, UPDATE", is_new=True)
    _grant("kill_switches", "DELETE")


def _drop_latches() -> None:
    op.execute("DELETE FROM limits WHERE words IS NOT NULL OR code = 'REPEATED_EXECUTIONS'")
    op.execute("ALTER TABLE limits DROP COLUMN words")
    op.drop_table("latches")
    if op.get_bind().dialect.name != "sqlite" and prepare_role(op.get_bind()):
        op.execute(f"REVOKE DELETE ON kill_switches FROM {APP_ROLE}")


def _grant(table: str, verbs: str, *, is_new: bool = False) -> None:
    """Put a new table behind the wall between tenants, or let the service do more with one (PostgreSQL)."""
    if op.get_bind().dialect.name == "sqlite":
        return
    with_role = prepare_role(op.get_bind())
    statements = grant_privileges(table, verbs) if with_role else []
    for statement in enable_row_security(table, verbs, with_role=with_role) if is_new else statements:
        op.execute(statement)


_UNFILLED = "status IN ('CANCELED', 'EXPIRED', 'REPLACED', 'DENIED', 'REJECTED')"


def _order_filters() -> None:
    """Create the indexes for the filters of order lists; orders without such a value are not indexed."""
    for column in ("strategy", "user_id", "actor"):
        is_said = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            op.f(f"ix_orders_tenant_id_{column}_id"),
            "orders",
            ["tenant_id", column, "id"],
            unique=False,
            postgresql_where=is_said,
            sqlite_where=is_said,
        )
    op.create_index(
        "ix_orders_unfilled_by_status",
        "orders",
        ["tenant_id", "status", "id"],
        unique=False,
        postgresql_where=sa.text(_UNFILLED),
        sqlite_where=sa.text(_UNFILLED),
    )


def _drop_order_filters() -> None:
    op.drop_index("ix_orders_unfilled_by_status", "orders")
    for column in ("actor", "user_id", "strategy"):
        op.drop_index(op.f(f"ix_orders_tenant_id_{column}_id"), "orders")


def _refuse_to_forget() -> None:
    later = sa.text("SELECT count(*) FROM trades WHERE hash_version > 2")
    _see_every_tenant()
    if op.get_bind().execute(later).scalar_one():
        raise RuntimeError("There are trades that only this version can prove: restore a backup instead.")


def _see_every_tenant() -> None:
    """Where the policies bind the owner too, say for whom this is (PostgreSQL)."""
    if op.get_bind().dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"
        op.get_bind().execute(sa.text(f"SELECT set_config('app.tenants', {every}, true)"))


def _currencies() -> None:
    """Add the columns of what is traded in another currency than its portfolio's: currency, rate, cost."""
    kind = "TEXT" if op.get_bind().dialect.name == "sqlite" else "NUMERIC(24, 8)"
    op.execute("ALTER TABLE trades ADD COLUMN currency VARCHAR(3)")
    op.execute(f"ALTER TABLE trades ADD COLUMN fx_rate {kind}")
    op.execute(f"ALTER TABLE trades ADD COLUMN local_cost_delta {kind}")
    # SQLite drops a column's own check with it, and no column that the table's checks know.
    op.execute(
        f"ALTER TABLE trades ADD COLUMN position_local_cost {kind} CONSTRAINT ck_trades_currency_is_whole "
        "CHECK (CASE WHEN currency IS NULL "
        "THEN coalesce(fx_rate, local_cost_delta, position_local_cost) IS NULL "
        "ELSE CAST(fx_rate AS NUMERIC) > 0 AND local_cost_delta IS NOT NULL "
        "AND position_local_cost IS NOT NULL END)"
    )
    op.execute("ALTER TABLE positions ADD COLUMN currency VARCHAR(3)")
    op.execute(
        f"ALTER TABLE positions ADD COLUMN local_cost {kind} CONSTRAINT ck_positions_currency_is_whole "
        "CHECK ((currency IS NULL) = (local_cost IS NULL))"
    )


def _drop_currencies() -> None:
    for table, columns in {
        "positions": ("local_cost", "currency"),
        "trades": ("position_local_cost", "local_cost_delta", "fx_rate", "currency"),
    }.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


_POSITION_KEY = ("tenant_id", "portfolio_id", "symbol", "product")
_TIMES = ("opened_at", "closed_at")
_POSITIONS = sa.Table(
    "positions",
    sa.MetaData(),
    sa.Column("tenant_id", sa.Integer()),
    sa.Column("portfolio_id", sa.BigInteger()),
    sa.Column("symbol", sa.String(length=20)),
    sa.Column("product", sa.String(length=8)),
    *(sa.Column(name, Instant()) for name in _TIMES),
)
_STANDING = """
    SELECT t.tenant_id, t.portfolio_id, t.symbol, t.product, t.side, t.quantity, t.executed_at
    FROM trades t LEFT JOIN trades r ON r.tenant_id = t.tenant_id AND r.reverses = t.trade_id
    WHERE t.kind = 'trade' AND r.trade_id IS NULL
    ORDER BY t.tenant_id, t.portfolio_id, t.symbol, t.product, t.sequence
"""


def _position_times() -> None:
    """Since when positions are open, or flat: one pass over the trades that stand, one statement for all."""
    kind = "TEXT" if op.get_bind().dialect.name == "sqlite" else "TIMESTAMP WITH TIME ZONE"
    for column in _TIMES:
        op.execute(f"ALTER TABLE positions ADD COLUMN {column} {kind}")
    _see_every_tenant()
    rows = [(*times, *key) for key, times in _times_by_position()]
    execute_writes(op.get_bind(), build_update(_POSITIONS, _TIMES, _POSITION_KEY, rows))


def _times_by_position() -> Iterator[tuple[tuple[Any, ...], tuple[str | None, str | None]]]:
    with op.get_bind().exec_driver_sql(_STANDING, execution_options={"stream_results": True}) as found:
        trades = (row for part in found.partitions(2_000) for row in part)
        for key, group in groupby(trades, lambda row: tuple(row[:4])):
            held, opened_at, closed_at = Decimal(0), None, None
            for *_, side, quantity, executed_at in group:
                before, held = held, held + (1 if side == "BUY" else -1) * Decimal(quantity)
                if not held:
                    opened_at, closed_at = None, executed_at
                elif before * held <= 0:
                    opened_at = executed_at
            yield key, (_text(opened_at), _text(closed_at))


def _text(instant: Any) -> str | None:  # text from SQLite, datetime from PostgreSQL
    return format_timestamp(instant.astimezone(UTC)) if isinstance(instant, datetime) else instant


def _drop_position_times() -> None:
    for column in _TIMES:
        op.execute(f"ALTER TABLE positions DROP COLUMN {column}")
