"""The circuit breakers of broker connections, and the rate limits that processes share."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant
from app.database.policies import grant_privileges, prepare_role

revision = "0050"
down_revision = "0047"
branch_labels = None
depends_on = None

_CONNECTIONS = "broker_connections"


def upgrade() -> None:
    """Add the columns and the table. All circuits are closed, and all limits unused."""
    circuit = sa.Column("circuit", sa.String(length=9), server_default="closed", nullable=False)
    op.add_column(_CONNECTIONS, circuit)
    failures = sa.Column("failures", sa.Integer(), server_default="0", nullable=False)
    op.add_column(_CONNECTIONS, failures)
    op.add_column(_CONNECTIONS, sa.Column("failure_kind", sa.String(length=12), nullable=True))
    for name in ("circuit_opened_at", "next_attempt_at"):
        op.add_column(_CONNECTIONS, sa.Column(name, Instant(), nullable=True))
    op.create_table(
        "broker_rate_limits",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("millitokens", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_broker_rate_limits")),
    )
    if op.get_bind().dialect.name == "sqlite" or not prepare_role(op.get_bind()):
        return
    for statement in grant_privileges("broker_rate_limits", "SELECT, INSERT, UPDATE"):
        op.execute(statement)


def downgrade() -> None:
    """Drop both. The sessions start with closed circuits, and each process has a limit of its own."""
    op.drop_table("broker_rate_limits")
    for name in ("next_attempt_at", "circuit_opened_at", "failure_kind", "failures", "circuit"):
        op.drop_column(_CONNECTIONS, name)
