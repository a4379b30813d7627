"""Tables of webhooks and their deliveries."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant, Serial, build_partial_index

IS_PENDING = text("status = 'pending'")
IS_COMPLETE = text("completed_at IS NOT NULL")


class WebhookRow(Base):
    """An endpoint of a tenant.

    `owner` is the name of the key that created it. `event_types` are words separated by spaces. The secrets
    are encrypted; the previous one also signs until `previous_until`. `cursor` is the number of the last
    event that was considered. `version` changes with each change over the API.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        UniqueConstraint("tenant_id", "name"),
        CheckConstraint("status IN ('enabled', 'disabled')", name="status_is_known"),
        CheckConstraint("(previous_secret IS NULL) = (previous_until IS NULL)", name="overlap_has_an_end"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"))
    name: Mapped[str | None] = mapped_column(String(60))
    owner: Mapped[str] = mapped_column(String(60))
    url: Mapped[str] = mapped_column(Text)
    event_types: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(8))
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    previous_secret: Mapped[str | None] = mapped_column(Text)
    previous_until: Mapped[datetime | None] = mapped_column(Instant)
    cursor: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)


class WebhookDeliveryRow(Base):
    """An event that is sent to an endpoint. `attempts` is a JSON list of the attempts.

    `event_number` is its number in the outbox. `subject` is the subject of the event, such as an order.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "webhook_id"], ["webhooks.tenant_id", "webhooks.id"], ondelete="CASCADE"
        ),
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status_is_known"),
        CheckConstraint("(status = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_has_a_time"),
        Index(None, "tenant_id", "webhook_id", "id"),
        build_partial_index("ix_webhook_deliveries_pending", IS_PENDING, "webhook_id", "event_number", "id"),
        build_partial_index("ix_webhook_deliveries_complete", IS_COMPLETE, "completed_at"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)
    webhook_id: Mapped[str] = mapped_column(String(32))
    event_number: Mapped[int] = mapped_column(BigInteger)
    event_type: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(300))
    status: Mapped[str] = mapped_column(String(9))
    attempt: Mapped[int] = mapped_column(Integer)
    response_status: Mapped[int | None] = mapped_column(Integer)
    latency_ms: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[str] = mapped_column(Text)
    next_attempt_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    completed_at: Mapped[datetime | None] = mapped_column(Instant)
