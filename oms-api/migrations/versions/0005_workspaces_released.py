"""Workspaces can be released: the service may delete the row that binds one."""

from alembic import op

from app.database.policies import grant_privileges, prepare_role
from app.database.tenants import APP_ROLE

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Grant."""
    if op.get_bind().dialect.name != "sqlite" and prepare_role(op.get_bind()):
        for statement in grant_privileges("slack_workspaces", "DELETE"):
            op.execute(statement)


def downgrade() -> None:
    """Revoke."""
    if op.get_bind().dialect.name != "sqlite" and prepare_role(op.get_bind()):
        op.execute(f"REVOKE DELETE ON slack_workspaces FROM {APP_ROLE}")
