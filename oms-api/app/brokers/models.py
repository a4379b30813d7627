"""The table of connections to brokers."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant


class BrokerConnectionRow(Base):
    """A tenant's access to one account at a broker.

    `credentials` are encrypted and bound to the row. `account` is null until a person or the broker names it.
    `is_live` is the requested mode; orders go out only once a second person has enabled it. `changed_by` is
    the person or key that created the connection or changed its address, account or credentials last.
    `cursor` is the number of the last event of the broker that was applied. `version` changes with each
    change over the API. `critical_issues` is the number of open critical issues of the reconciliation, which
    stop orders that open positions. `circuit`, the failures in a row, the kind of the last one and the times
    are those of the circuit breaker. `people` is a JSON array of the people who may trade over the
    connection, null if all may.
    """

    __tablename__ = "broker_connections"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        UniqueConstraint("tenant_id", "broker", "account"),
        CheckConstraint("broker IN ('alpaca', 'ibkr', 'zerodha')", name="broker_is_known"),
        CheckConstraint(
            "status IN ('new', 'awaiting_live', 'connected', 'down', 'refused')", name="status_is_known"
        ),
        CheckConstraint(
            "(live_enabled_by IS NULL) = (live_enabled_at IS NULL)", name="live_was_enabled_by_a_person"
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(String(60))
    broker: Mapped[str] = mapped_column(String(20))
    is_live: Mapped[bool] = mapped_column(Boolean)
    account: Mapped[str | None] = mapped_column(String(60))
    base_url: Mapped[str] = mapped_column(Text)
    credentials: Mapped[str] = mapped_column(Text)
    live_enabled_by: Mapped[str | None] = mapped_column(String(300))
    live_enabled_at: Mapped[datetime | None] = mapped_column(Instant)
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    connected_since: Mapped[datetime | None] = mapped_column(Instant)
    last_event_at: Mapped[datetime | None] = mapped_column(Instant)
    checked_at: Mapped[datetime | None] = mapped_column(Instant)
    requests_left: Mapped[int | None] = mapped_column(Integer)
    session_expires_at: Mapped[datetime | None] = mapped_column(Instant)
    cursor: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[str] = mapped_column(String(300))
    changed_by: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    reconcile_requested_at: Mapped[datetime | None] = mapped_column(Instant)
    critical_issues: Mapped[int] = mapped_column(Integer, server_default="0")
    circuit: Mapped[str] = mapped_column(String(9), server_default="closed")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    failure_kind: Mapped[str | None] = mapped_column(String(12))
    circuit_opened_at: Mapped[datetime | None] = mapped_column(Instant)
    next_attempt_at: Mapped[datetime | None] = mapped_column(Instant)
    people: Mapped[str | None] = mapped_column(Text)


class BrokerRateLimitRow(Base):
    """The request tokens of an account that all processes share, in thousandths.

    It belongs to the installation, not to a tenant: `name` has a digest of the account's key.
    """

    __tablename__ = "broker_rate_limits"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    millitokens: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = mapped_column(Instant)
