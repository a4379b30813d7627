"""Issues keep what the broker said and stop trading, analysts see them, and orders may wait for brokers."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_VIEW = "v_reconciliation_issues"
# As in migration 0022: on PostgreSQL a view reads as its owner, so it filters by the roles of whoever asks.
_VISIBLE = """
    (portfolios.tenant_id IN (
        SELECT substr(rolname, 18)::int FROM pg_roles
        WHERE rolname ~ '^slackoms_analyst_[0-9]{1,9}$' AND pg_has_role(session_user, oid, 'MEMBER')
    ) OR pg_has_role(
        session_user, (SELECT relowner FROM pg_class WHERE oid = 'portfolios'::regclass), 'MEMBER'
    ))
"""
_QUERY = """
    SELECT portfolios.tenant_id, portfolios.name AS portfolio_name, issues.connection, issues.id,
        issues.type, issues.severity, issues.symbol, issues.order_id, issues.ours, issues.theirs,
        {hours} AS hours_unresolved, issues.owner, issues.status, issues.action, issues.reason,
        issues.detected_at, issues.seen_at, issues.resolved_at, issues.resolved_by
    FROM reconciliation_issues AS issues
    JOIN portfolios ON portfolios.tenant_id = issues.tenant_id AND portfolios.id = issues.portfolio_id
    WHERE {visible}
"""
_HOURS = (
    "round((extract(epoch FROM coalesce(issues.resolved_at, now()) - issues.detected_at) / 3600)::numeric, 2)"
)
_HOURS_ON_SQLITE = (
    "round((julianday(coalesce(issues.resolved_at, 'now')) - julianday(issues.detected_at)) * 24, 2)"
)


def upgrade() -> None:
    """Add the columns and the view. Open critical issues are counted by the next comparison."""
    op.add_column("reconciliation_issues", sa.Column("details", sa.Text(), nullable=True))
    op.add_column(
        "broker_connections", sa.Column("critical_issues", sa.Integer(), server_default="0", nullable=False)
    )
    op.execute("ALTER TABLE portfolios ADD COLUMN when_broker_down VARCHAR(6) DEFAULT 'refuse' NOT NULL")
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    options = "" if is_sqlite else "WITH (security_barrier = true) "
    facts = {
        "hours": _HOURS_ON_SQLITE if is_sqlite else _HOURS,
        "visible": "true" if is_sqlite else _VISIBLE,
    }
    op.execute(f"CREATE VIEW {_VIEW} {options}AS {_QUERY.format(**facts)}")


def downgrade() -> None:
    """Drop the view and the columns."""
    op.execute(f"DROP VIEW {_VIEW}")
    op.execute("ALTER TABLE portfolios DROP COLUMN when_broker_down")
    op.drop_column("broker_connections", "critical_issues")
    op.drop_column("reconciliation_issues", "details")
