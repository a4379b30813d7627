"""The scheduled verification of hash chains."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

_TABLE = "chain_verifications"


def upgrade() -> None:
    """Create the table. The first run verifies all rows."""
    op.create_table(
        _TABLE,
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("verified_sequence", sa.BigInteger(), nullable=False),
        sa.Column("verified_hash", sa.String(length=64), nullable=False),
        sa.Column("repeated_sequence", sa.BigInteger(), nullable=False),
        sa.Column("repeated_hash", sa.String(length=64), nullable=False),
        sa.Column("checked_at", Instant(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('audit', 'ledger', 'cash')", name=op.f("ck_chain_verifications_kind_is_known")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_chain_verifications_tenant_id_tenants")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "portfolio_id", name=op.f("pk_chain_verifications")),
    )
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        return
    for statement in enable_row_security(_TABLE, "SELECT, INSERT, UPDATE", with_role=prepare_role(bind)):
        op.execute(statement)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_TABLE)
