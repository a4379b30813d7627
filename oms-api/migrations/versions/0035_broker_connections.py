"""Portfolios trade at a broker over a connection, and what must be sent there is stored first."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant, Serial
from app.database.policies import enable_row_security, prepare_role

revision = "0035"
down_revision = "0033"
branch_labels = None
depends_on = None

_COLUMNS = (("broker", "VARCHAR(20) DEFAULT 'paper' NOT NULL"), ("broker_connection", "VARCHAR(60)"))
_IS_CONNECTED = sa.text("broker_connection IS NOT NULL")
_IS_UNDONE = sa.text("completed_at IS NULL")


def upgrade() -> None:
    """Create the tables and columns; all portfolios stay at the paper market."""
    op.create_table("broker_connections", *_list_connection_columns())
    op.create_table("broker_requests", *_list_request_columns())
    op.create_index(
        "ix_broker_requests_undone",
        "broker_requests",
        ["tenant_id", "connection", "id"],
        unique=False,
        postgresql_where=_IS_UNDONE,
        sqlite_where=_IS_UNDONE,
    )
    op.create_index(
        op.f("ix_broker_requests_tenant_id_order_id"), "broker_requests", ["tenant_id", "order_id"]
    )
    for name, kind in _COLUMNS:
        op.execute(f"ALTER TABLE portfolios ADD COLUMN {name} {kind}")
    op.create_index(
        "uq_portfolios_broker_connection",
        "portfolios",
        ["tenant_id", "broker_connection"],
        unique=True,
        postgresql_where=_IS_CONNECTED,
        sqlite_where=_IS_CONNECTED,
    )
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        return
    with_role = prepare_role(bind)
    for table in ("broker_connections", "broker_requests"):
        for statement in enable_row_security(table, "SELECT, INSERT, UPDATE, DELETE", with_role=with_role):
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables and columns. Raise RuntimeError where a portfolio trades at a broker."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"  # the policies bind the owner too
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    if bind.execute(sa.text("SELECT count(*) FROM portfolios WHERE broker <> 'paper'")).scalar_one():
        raise RuntimeError("Portfolios trade at a broker: restore a backup instead.")
    op.drop_index("uq_portfolios_broker_connection", "portfolios")
    for name, _ in reversed(_COLUMNS):
        op.execute(f"ALTER TABLE portfolios DROP COLUMN {name}")
    op.drop_table("broker_requests")
    op.drop_table("broker_connections")


def _list_connection_columns() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("broker", sa.String(length=20), nullable=False),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.Column("account", sa.String(length=60), nullable=True),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=False),
        sa.Column("live_enabled_by", sa.String(length=300), nullable=True),
        sa.Column("live_enabled_at", Instant(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("connected_since", Instant(), nullable=True),
        sa.Column("last_event_at", Instant(), nullable=True),
        sa.Column("checked_at", Instant(), nullable=True),
        sa.Column("requests_left", sa.Integer(), nullable=True),
        sa.Column("session_expires_at", Instant(), nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("changed_by", sa.String(length=300), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "broker IN ('alpaca', 'ibkr', 'zerodha')", name=op.f("ck_broker_connections_broker_is_known")
        ),
        sa.CheckConstraint(
            "status IN ('new', 'awaiting_live', 'connected', 'down', 'refused')",
            name=op.f("ck_broker_connections_status_is_known"),
        ),
        sa.CheckConstraint(
            "(live_enabled_by IS NULL) = (live_enabled_at IS NULL)",
            name=op.f("ck_broker_connections_live_was_enabled_by_a_person"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_broker_connections_tenant_id_tenants")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broker_connections")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_broker_connections_tenant_id_name")),
        sa.UniqueConstraint(
            "tenant_id", "broker", "account", name=op.f("uq_broker_connections_tenant_id_broker_account")
        ),
    ]


def _list_request_columns() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", Serial, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("connection", sa.String(length=60), nullable=False),
        sa.Column("order_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=7), nullable=False),
        sa.Column("successor_id", sa.String(length=32), nullable=True),
        sa.Column("successor", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=8), nullable=False, server_default="new"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("next_attempt_at", Instant(), nullable=True),
        sa.Column("completed_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('submit', 'cancel', 'replace')", name=op.f("ck_broker_requests_kind_is_known")
        ),
        sa.CheckConstraint(
            "status IN ('new', 'sending', 'unknown', 'done')", name=op.f("ck_broker_requests_status_is_known")
        ),
        sa.CheckConstraint(
            "(status = 'done') = (completed_at IS NOT NULL)",
            name=op.f("ck_broker_requests_done_has_a_time"),
        ),
        sa.CheckConstraint(
            "(kind = 'replace') = (successor_id IS NOT NULL AND successor IS NOT NULL)",
            name=op.f("ck_broker_requests_replace_has_a_successor"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name=op.f("fk_broker_requests_tenant_id_order_id_orders"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broker_requests")),
    ]
