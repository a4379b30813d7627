"""Users have a status that their Slack account has."""

from alembic import op

revision = "0031"
down_revision = "0028"
branch_labels = None
depends_on = None

_CHECK = "CONSTRAINT ck_users_slack_status_is_known CHECK (slack_status IN ('active', 'deactivated'))"


def upgrade() -> None:
    """Add the column; every account is active until the bot reports otherwise."""
    op.execute(f"ALTER TABLE users ADD COLUMN slack_status VARCHAR(11) DEFAULT 'active' NOT NULL {_CHECK}")


def downgrade() -> None:
    """Drop the column with its constraint."""
    op.execute("ALTER TABLE users DROP COLUMN slack_status")
