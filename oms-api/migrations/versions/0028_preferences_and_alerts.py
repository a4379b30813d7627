"""People have preferences."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant
from app.database.policies import prepare_role, protect

revision = "0028"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; nobody has preferences yet."""
    op.create_table(
        "preferences",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=300), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "owner", name=op.f("pk_preferences")),
    )
    if op.get_bind().dialect.name == "sqlite":
        return
    with_role = prepare_role(op.get_bind())
    for statement in protect("preferences", "SELECT, INSERT, UPDATE", with_role=with_role):
        op.execute(statement)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("preferences")
