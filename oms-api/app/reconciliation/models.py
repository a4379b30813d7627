"""The table of reconciliation issues."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant, build_partial_index
from app.instruments.models import SymbolText

_IS_OPEN = text("status = 'open'")


class ReconciliationIssueRow(Base):
    """A difference between a portfolio and its account at a broker.

    `ours` and `theirs` are the figures of both sides, null if a side has none. `seen_at` is the time of the
    last comparison that found the difference. The service resolves an issue that a later comparison does not
    find. `details` has what `adopt` needs: the cost of the broker's position, or the terms of its order.
    """

    __tablename__ = "reconciliation_issues"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
        build_partial_index("ix_reconciliation_issues_open", _IS_OPEN, "tenant_id", "connection"),
        CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity_is_known"),
        CheckConstraint("status IN ('open', 'resolved')", name="status_is_known"),
        CheckConstraint("(status = 'resolved') = (resolved_at IS NOT NULL)", name="resolved_has_a_time"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    connection: Mapped[str] = mapped_column(String(60))
    portfolio_id: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(20))
    severity: Mapped[str] = mapped_column(String(8))
    symbol: Mapped[str | None] = mapped_column(SymbolText)
    order_id: Mapped[str | None] = mapped_column(String(100))
    ours: Mapped[str | None] = mapped_column(Text)
    theirs: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(8))
    owner: Mapped[str | None] = mapped_column(String(300))
    action: Mapped[str | None] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(Text)
    detected_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    resolved_at: Mapped[datetime | None] = mapped_column(Instant)
    resolved_by: Mapped[str | None] = mapped_column(String(300))
    details: Mapped[str | None] = mapped_column(Text)
