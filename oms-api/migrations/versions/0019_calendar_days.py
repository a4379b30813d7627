"""The operator sets the sessions of dates over the API, for all tenants."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant
from app.database.policies import grant_privileges, prepare_role

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. It has no rows of tenants, and so no row-level security."""
    op.create_table(
        "calendar_days",
        sa.Column("market", sa.String(10), nullable=False),
        sa.Column("date", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("sessions", sa.Text(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("set_by", sa.String(300), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('regular', 'half_day', 'special', 'holiday', 'unknown')",
            name=op.f("ck_calendar_days_kind_is_known"),
        ),
        sa.PrimaryKeyConstraint("market", "date", name=op.f("pk_calendar_days")),
        sa.UniqueConstraint("version", name=op.f("uq_calendar_days_version")),
    )
    if op.get_bind().dialect.name != "sqlite" and prepare_role(op.get_bind()):
        for statement in grant_privileges("calendar_days", "SELECT, INSERT, UPDATE"):
            op.execute(statement)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("calendar_days")
