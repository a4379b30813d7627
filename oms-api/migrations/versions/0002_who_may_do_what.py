"""Access control: people, sessions, grants, the audit trail, and row-level security of tenants."""

import sqlalchemy as sa
from alembic import op

from app.database import Instant, Serial
from app.database.policies import disable_row_security, enable_row_security, grant_privileges, prepare_role
from app.database.tenants import APP_ROLE

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROLES = "('viewer', 'trader', 'approver', 'risk', 'admin')"
_ADDED = {
    "tenants": {
        "status": "VARCHAR(9) NOT NULL DEFAULT 'active' "
        "CONSTRAINT ck_tenants_status_is_known CHECK (status IN ('active', 'suspended'))",
        "slack_default_role": "VARCHAR(8) DEFAULT 'trader' "
        f"CONSTRAINT ck_tenants_slack_default_role_is_known CHECK (slack_default_role IN {_ROLES})",
    },
    "api_keys": {
        "is_narrowed": "BOOLEAN NOT NULL DEFAULT false",
        "rotated_from": "VARCHAR(12)",
        "created_by": "VARCHAR(300)",
    },
    "trades": {"actor": "VARCHAR(300)", "request_id": "VARCHAR(100)"},
}
_BEHIND_THE_WALL = {
    "portfolios": "SELECT, INSERT, UPDATE",
    "positions": "SELECT, INSERT, UPDATE",
    "trades": "SELECT, INSERT",
    "events": "SELECT, INSERT",
    "users": "SELECT, INSERT, UPDATE",
    "portfolio_grants": "SELECT, INSERT, DELETE",
    "admin_requests": "SELECT, INSERT",
    "audit_log": "SELECT, INSERT",
    "audit_heads": "SELECT, INSERT, UPDATE",
}
# Read by exact key before the tenant is known: see app.identity.queries.credentials.
_BEFORE_THE_WALL = {
    "tenants": "SELECT, INSERT, UPDATE",
    "api_keys": "SELECT, INSERT, UPDATE",
    "logins": "SELECT, INSERT, UPDATE",
    "sessions": "SELECT, INSERT, UPDATE",
    "slack_workspaces": "SELECT, INSERT",
    "alembic_version": "SELECT",
}
_NEW = (
    *(
        "audit_log",
        "audit_heads",
        "admin_requests",
        "portfolio_grants",
        "slack_workspaces",
        "sessions",
        "logins",
    ),
    "users",
)


def upgrade() -> None:
    """Add tables and columns. On PostgreSQL, enable row-level security on every table of tenants."""
    for table, columns in _ADDED.items():
        for column, definition in columns.items():
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}")
    op.create_index("uq_api_keys_tenant_id_key_id", "api_keys", ["tenant_id", "key_id"], unique=True)
    _make_people()
    _make_credentials()
    _make_grants()
    _make_audit()
    if op.get_bind().dialect.name == "sqlite":
        _refuse_change_on_sqlite()
    else:
        _refuse_change_on_postgresql()
        _build_the_wall()


def downgrade() -> None:
    """Take the wall down and drop what was added; the role stays: other databases of the server use it.

    Refused once there is a trail, or a trade whose hash covers what would be dropped: neither comes back.
    """
    kept = "SELECT (SELECT count(*) FROM audit_log) + (SELECT count(*) FROM trades WHERE hash_version > 1)"
    if op.get_bind().execute(sa.text(kept)).scalar_one():
        raise RuntimeError(
            "There are trades or audit entries that only this version can prove: restore a backup instead."
        )
    if op.get_bind().dialect.name != "sqlite":
        for table in ("portfolios", "positions", "trades", "events"):
            _run(disable_row_security(table))
        _run([f"DROP OWNED BY {APP_ROLE}"] if prepare_role(op.get_bind()) else [])
    for table in _NEW:
        op.drop_table(table)
    op.drop_index("uq_api_keys_tenant_id_key_id", table_name="api_keys")
    for table, columns in _ADDED.items():
        for column in reversed(columns):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def _run(statements: list[str]) -> None:
    for statement in statements:
        op.execute(statement)


def _build_the_wall() -> None:
    with_role = prepare_role(op.get_bind())
    if with_role:
        op.execute(
            f"DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {APP_ROLE}', current_schema()); END $$"
        )
        for table, verbs in _BEFORE_THE_WALL.items():
            _run(grant_privileges(table, verbs))
    for table, verbs in _BEHIND_THE_WALL.items():
        _run(enable_row_security(table, verbs, with_role=with_role))


def _refuse_change_on_postgresql() -> None:
    _run(
        [
            "CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE ON audit_log "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON audit_log "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
        ]
    )


def _refuse_change_on_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_log_refuse_{verb.lower()} BEFORE {verb} ON audit_log "
            f"BEGIN SELECT RAISE(ABORT, 'audit_log is append-only: {verb} is refused'); END"
        )


def _to_user(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_tenant_id_user_id_users")
    return sa.ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name=name)


def _to_tenant(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id_tenants"))


def _make_people() -> None:
    op.create_table(
        "users",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(length=60), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=8), server_default="active", nullable=False),
        sa.Column("is_narrowed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.CheckConstraint(f"role IN {_ROLES}", name=op.f("ck_users_role_is_known")),
        sa.CheckConstraint("status IN ('active', 'disabled')", name=op.f("ck_users_status_is_known")),
        sa.CheckConstraint("person IS NOT NULL OR email IS NOT NULL", name=op.f("ck_users_is_somebody")),
        _to_tenant("users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_users_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "person", name=op.f("uq_users_tenant_id_person")),
        sa.UniqueConstraint("tenant_id", "email", name=op.f("uq_users_tenant_id_email")),
    )


def _make_credentials() -> None:
    op.create_table(
        "logins",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("password_hash", sa.String(length=300), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        _to_user("logins"),
        sa.PrimaryKeyConstraint("tenant_id", "email", name=op.f("pk_logins")),
        sa.UniqueConstraint("tenant_id", "user_id", name=op.f("uq_logins_tenant_id_user_id")),
    )
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("client_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("rotated_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("revoked_because", sa.String(length=60), nullable=True),
        _to_user("sessions"),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_tenant_id_user_id", "sessions", ["tenant_id", "user_id"])
    op.create_table(
        "slack_workspaces",
        sa.Column("team_id", sa.String(length=20), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("bound_at", Instant(), nullable=False),
        _to_tenant("slack_workspaces"),
        sa.PrimaryKeyConstraint("team_id", name=op.f("pk_slack_workspaces")),
    )


def _make_grants() -> None:
    op.create_table(
        "portfolio_grants",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("key_id", sa.String(length=12), nullable=True),
        sa.Column("portfolio_key", sa.String(length=300), nullable=False),
        sa.CheckConstraint(
            "(user_id IS NULL) <> (key_id IS NULL)", name=op.f("ck_portfolio_grants_is_for_one")
        ),
        _to_user("portfolio_grants"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "key_id"],
            ["api_keys.tenant_id", "api_keys.key_id"],
            name=op.f("fk_portfolio_grants_tenant_id_key_id_api_keys"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "portfolio_key"],
            ["portfolios.tenant_id", "portfolios.name_key"],
            name=op.f("fk_portfolio_grants_tenant_id_portfolio_key_portfolios"),
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portfolio_grants")),
        sa.UniqueConstraint(
            "tenant_id", "user_id", "portfolio_key",
            name=op.f("uq_portfolio_grants_tenant_id_user_id_portfolio_key"),
        ),
        sa.UniqueConstraint(
            "tenant_id", "key_id", "portfolio_key",
            name=op.f("uq_portfolio_grants_tenant_id_key_id_portfolio_key"),
        ),
    )  # fmt: skip
    op.create_table(
        "admin_requests",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("operation", sa.String(length=60), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        _to_tenant("admin_requests"),
        sa.PrimaryKeyConstraint("tenant_id", "operation", "idempotency_key", name=op.f("pk_admin_requests")),
    )


def _make_audit() -> None:
    op.create_table(
        "audit_log",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("via", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("target", sa.String(length=400), nullable=False),
        sa.Column("address", sa.String(length=60), nullable=True),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("hash_version", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_audit_log_sequence_is_positive")),
        sa.CheckConstraint("count > 0", name=op.f("ck_audit_log_count_is_positive")),
        _to_tenant("audit_log"),
        sa.PrimaryKeyConstraint("tenant_id", "sequence", name=op.f("pk_audit_log")),
    )
    op.create_table(
        "audit_heads",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("last_sequence", sa.Integer(), nullable=False),
        sa.Column("last_hash", sa.String(length=64), nullable=False),
        _to_tenant("audit_heads"),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_heads")),
    )
