"""The table of alerts."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKeyConstraint, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant
from app.instruments.rules import MAX_SYMBOL_CHARACTERS


class AlertRow(Base):
    """An alert with its state. `rules.conditions.Alert` documents the fields."""

    __tablename__ = "alerts"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
        Index(None, "tenant_id", "owner", "id"),
        Index(None, "updated_at"),
        CheckConstraint("kind IN ('price', 'day_pnl', 'drawdown', 'limit_use')", name="kind_is_known"),
        CheckConstraint("direction IN ('above', 'below')", name="direction_is_known"),
        CheckConstraint(
            "(kind = 'price') = (symbol IS NOT NULL) AND (kind <> 'price') = (portfolio_id IS NOT NULL)",
            name="has_a_subject",
        ),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(300))
    kind: Mapped[str] = mapped_column(String(10))
    symbol: Mapped[str | None] = mapped_column(String(MAX_SYMBOL_CHARACTERS))
    portfolio_id: Mapped[int | None] = mapped_column(BigInteger)
    direction: Mapped[str] = mapped_column(String(5))
    threshold: Mapped[Decimal] = mapped_column(Amount)
    is_repeating: Mapped[bool] = mapped_column(Boolean)
    deliver_to: Mapped[str] = mapped_column(String(30))
    is_active: Mapped[bool] = mapped_column(Boolean)
    is_armed: Mapped[bool] = mapped_column(Boolean)
    firing: Mapped[int] = mapped_column(Integer)
    value: Mapped[Decimal | None] = mapped_column(Amount)
    fired_at: Mapped[datetime | None] = mapped_column(Instant)
    changed_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
