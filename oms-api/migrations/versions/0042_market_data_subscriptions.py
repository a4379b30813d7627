"""Symbols whose quotes a tenant always follows."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0042"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; no tenant has subscribed to a symbol yet."""
    op.create_table(
        "market_data_subscriptions",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("symbol", sa.String(length=40), nullable=False),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_market_data_subscriptions_tenant_id_tenants")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "symbol", name=op.f("pk_market_data_subscriptions")),
    )
    if op.get_bind().dialect.name == "sqlite":
        return
    with_role = prepare_role(op.get_bind())
    for statement in enable_row_security(
        "market_data_subscriptions", "SELECT, INSERT, DELETE", with_role=with_role
    ):
        op.execute(statement)


def downgrade() -> None:
    """Drop the table; quotes are followed as long as somebody asks for them."""
    op.drop_table("market_data_subscriptions")
