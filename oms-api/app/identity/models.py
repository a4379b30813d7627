"""Tables of tenants, users and credentials.

Keys, logins, sessions and workspaces are looked up before the tenant is known. `queries.credentials` reads
them by exact key, and they have no row-level security. Neither has the directory of tenants.
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant, Serial

_ROLES = "'viewer', 'trader', 'approver', 'risk', 'admin'"


class Tenant(Base):
    """A team whose data other teams cannot see.

    `slack_default_role` is the role of new Slack users; NULL rejects them. `base_currency` is the currency of
    limits on the sum of all portfolios. `default_opening_cash` is the opening cash of a portfolio that a
    reported trade creates, in the portfolio's base currency.
    """

    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'suspended')", name="status_is_known"),
        CheckConstraint(f"slack_default_role IN ({_ROLES})", name="slack_default_role_is_known"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(Instant)
    status: Mapped[str] = mapped_column(String(9), server_default="active")
    slack_default_role: Mapped[str | None] = mapped_column(String(8), server_default="trader")
    base_currency: Mapped[str] = mapped_column(String(3), server_default="USD")
    default_opening_cash: Mapped[Decimal] = mapped_column(Amount, server_default="1000000.00000000")
    slack_channels: Mapped[str] = mapped_column(Text, server_default="{}")
    slack_group_roles: Mapped[str] = mapped_column(Text, server_default="{}")


class ApiKey(Base):
    """A hashed API key. `scopes` are words separated by spaces. `revoked_at` and `expires_at` end the key."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        Index("uq_api_keys_tenant_id_key_id", "tenant_id", "key_id", unique=True),
        CheckConstraint("length(secret_hash) = 32", name="secret_hash_is_sha256"),
    )

    key_id: Mapped[str] = mapped_column(String(12), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(String(60))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)
    is_narrowed: Mapped[bool] = mapped_column(Boolean, server_default=false())
    rotated_from: Mapped[str | None] = mapped_column(String(12))
    created_by: Mapped[str | None] = mapped_column(String(300))


class User(Base):
    """A user of a tenant. `person` names a Slack user: "slack:T1:U1".

    `status` is set by administrators, `slack_status` by the bot. Both statuses must be active.
    """

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        UniqueConstraint("tenant_id", "person"),
        UniqueConstraint("tenant_id", "email"),
        CheckConstraint(f"role IN ({_ROLES})", name="role_is_known"),
        CheckConstraint("status IN ('active', 'disabled')", name="status_is_known"),
        CheckConstraint("slack_status IN ('active', 'deactivated')", name="slack_status_is_known"),
        CheckConstraint("person IS NOT NULL OR email IS NOT NULL", name="is_somebody"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"))
    person: Mapped[str | None] = mapped_column(String(60))
    email: Mapped[str | None] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(8))
    status: Mapped[str] = mapped_column(String(8), server_default="active")
    slack_status: Mapped[str] = mapped_column(String(11), server_default="active")
    is_narrowed: Mapped[bool] = mapped_column(Boolean, server_default=false())
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)


class Login(Base):
    """A user's e-mail address and argon2id password hash."""

    __tablename__ = "logins"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"]),
        UniqueConstraint("tenant_id", "user_id"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger)
    password_hash: Mapped[str] = mapped_column(String(300))
    changed_at: Mapped[datetime] = mapped_column(Instant)


class Session(Base):
    """A session and its chain of refresh tokens. `generation` is the number of the valid token."""

    __tablename__ = "sessions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"]),
        Index("ix_sessions_tenant_id_user_id", "tenant_id", "user_id"),
    )

    session_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)
    user_id: Mapped[int] = mapped_column(BigInteger)
    generation: Mapped[int] = mapped_column(Integer)
    client_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Instant)
    rotated_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_because: Mapped[str | None] = mapped_column(String(60))


class SlackWorkspace(Base):
    """The tenant that a Slack workspace is bound to."""

    __tablename__ = "slack_workspaces"

    team_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"))
    bound_at: Mapped[datetime] = mapped_column(Instant)


class PortfolioGrant(Base):
    """A portfolio that a restricted user or key may see."""

    __tablename__ = "portfolio_grants"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"]),
        ForeignKeyConstraint(["tenant_id", "key_id"], ["api_keys.tenant_id", "api_keys.key_id"]),
        ForeignKeyConstraint(
            ["tenant_id", "portfolio_key"],
            ["portfolios.tenant_id", "portfolios.name_key"],
            onupdate="CASCADE",
        ),
        UniqueConstraint("tenant_id", "user_id", "portfolio_key"),
        UniqueConstraint("tenant_id", "key_id", "portfolio_key"),
        CheckConstraint("(user_id IS NULL) <> (key_id IS NULL)", name="is_for_one"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    key_id: Mapped[str | None] = mapped_column(String(12))
    portfolio_key: Mapped[str] = mapped_column(String(300))


class AdminRequest(Base):
    """The request that was made with an administrator's idempotency key.

    `answer` is NULL if the response held a secret.
    """

    __tablename__ = "admin_requests"

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    operation: Mapped[str] = mapped_column(String(60), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(200), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(Integer)
    answer: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
