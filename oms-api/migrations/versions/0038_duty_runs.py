"""The history of the runs of duties, and runs that somebody asked for."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant, Serial
from app.database.policies import grant_privileges, prepare_role

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the history begins now."""
    op.add_column("duties", sa.Column("requested_at", Instant(), nullable=True))
    op.create_table(
        "duty_runs",
        sa.Column("id", Serial, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("slot", Instant(), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'succeeded', 'failed')", name=op.f("ck_duty_runs_status_is_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duty_runs")),
        sa.UniqueConstraint("name", "slot", name=op.f("uq_duty_runs_name_slot")),
    )
    op.create_index("ix_duty_runs_name_id", "duty_runs", ["name", "id"])
    if op.get_bind().dialect.name == "sqlite" or not prepare_role(op.get_bind()):
        return
    for statement in grant_privileges("duty_runs", "SELECT, INSERT, UPDATE, DELETE"):
        op.execute(statement)


def downgrade() -> None:
    """Drop the history."""
    op.drop_table("duty_runs")
    op.drop_column("duties", "requested_at")
