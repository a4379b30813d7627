"""Tables of the audit log, chained per tenant. Rows are canonical text, as they are hashed."""

from sqlalchemy import CheckConstraint, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base


class AuditRow(Base):
    """One entry of the audit log.

    `at` is RFC 3339 text, `before` and `after` are JSON text. `count` is the number of combined actions.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint("sequence > 0", name="sequence_is_positive"),
        CheckConstraint("count > 0", name="count_is_positive"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(300))
    via: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(60))
    target: Mapped[str] = mapped_column(String(400))
    address: Mapped[str | None] = mapped_column(String(60))
    request_id: Mapped[str | None] = mapped_column(String(100))
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)
    count: Mapped[int] = mapped_column(Integer)
    hash_version: Mapped[int] = mapped_column(Integer)
    hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """The head of a tenant's chain. Every writer locks it before it appends."""

    __tablename__ = "audit_heads"

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(Integer)
    last_hash: Mapped[str] = mapped_column(String(64))
