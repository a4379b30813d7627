"""Webhooks: endpoints that receive the events of a tenant, and their deliveries."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant, Serial
from app.database.policies import enable_row_security, prepare_role

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_IS_PENDING = sa.text("status = 'pending'")
_IS_COMPLETE = sa.text("completed_at IS NOT NULL")


def upgrade() -> None:
    """Create the tables; no tenant has a webhook yet."""
    op.create_table("webhooks", *_list_webhook_columns())
    op.create_table("webhook_deliveries", *_list_delivery_columns())
    op.create_index(
        op.f("ix_webhook_deliveries_tenant_id_webhook_id_id"),
        "webhook_deliveries",
        ["tenant_id", "webhook_id", "id"],
    )
    for name, columns, where in (
        ("ix_webhook_deliveries_pending", ["webhook_id", "event_number", "id"], _IS_PENDING),
        ("ix_webhook_deliveries_complete", ["completed_at"], _IS_COMPLETE),
    ):
        op.create_index(
            name, "webhook_deliveries", columns, unique=False, postgresql_where=where, sqlite_where=where
        )
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        return
    with_role = prepare_role(bind)
    for table in ("webhooks", "webhook_deliveries"):
        for statement in enable_row_security(table, "SELECT, INSERT, UPDATE, DELETE", with_role=with_role):
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables. Webhooks must be created again after another upgrade."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")


def _list_webhook_columns() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=True),
        sa.Column("owner", sa.String(length=60), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_types", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_until", Instant(), nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint("status IN ('enabled', 'disabled')", name=op.f("ck_webhooks_status_is_known")),
        sa.CheckConstraint(
            "(previous_secret IS NULL) = (previous_until IS NULL)",
            name=op.f("ck_webhooks_overlap_has_an_end"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhooks_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_webhooks_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_webhooks_tenant_id_name")),
    ]


def _list_delivery_columns() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", Serial, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("webhook_id", sa.String(length=32), nullable=False),
        sa.Column("event_number", sa.BigInteger(), nullable=False),
        sa.Column("event_type", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Text(), nullable=False),
        sa.Column("next_attempt_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("completed_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_status_is_known")
        ),
        sa.CheckConstraint(
            "(status = 'pending') = (next_attempt_at IS NOT NULL)",
            name=op.f("ck_webhook_deliveries_pending_has_a_time"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "webhook_id"],
            ["webhooks.tenant_id", "webhooks.id"],
            name=op.f("fk_webhook_deliveries_tenant_id_webhook_id_webhooks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    ]
