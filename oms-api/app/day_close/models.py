"""The tables of the day close. Their rows are append-only by trigger."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant

BREAK_KINDS = (
    "working_order", "awaiting_approval", "stale_mark", "unverified_row",
    "trading_stopped", "missing_close", "missing_rate",
)  # fmt: skip


def _build_day_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id", "date"], ["day_closes.tenant_id", "day_closes.date"])


class DayCloseRow(Base):
    """A day that was signed off. `rules.values.DayClose` documents the columns."""

    __tablename__ = "day_closes"

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    date: Mapped[str] = mapped_column(String(10), primary_key=True)
    signed_by: Mapped[str] = mapped_column(String(300))
    source: Mapped[str] = mapped_column(String(60))
    signed_at: Mapped[datetime] = mapped_column(Instant)
    note: Mapped[str | None] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(String(3))
    rates: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))


class DayFiguresRow(Base):
    """The figures of a portfolio on a day. `rules.values.DayFigures` documents the columns."""

    __tablename__ = "day_close_figures"
    __table_args__ = (
        _build_day_key(),
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    date: Mapped[str] = mapped_column(String(10), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    portfolio_name: Mapped[str] = mapped_column(String(100))
    currency: Mapped[str] = mapped_column(String(3))
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime] = mapped_column(Instant)
    trades: Mapped[int] = mapped_column(BigInteger)
    cash: Mapped[Decimal] = mapped_column(Amount)
    market_value: Mapped[Decimal] = mapped_column(Amount)
    gross_exposure: Mapped[Decimal] = mapped_column(Amount)
    equity: Mapped[Decimal] = mapped_column(Amount)
    flows: Mapped[Decimal] = mapped_column(Amount)
    realized_pnl: Mapped[Decimal] = mapped_column(Amount)
    price: Mapped[Decimal] = mapped_column(Amount)
    exchange: Mapped[Decimal] = mapped_column(Amount)
    interest: Mapped[Decimal] = mapped_column(Amount)
    borrow: Mapped[Decimal] = mapped_column(Amount)
    dividends: Mapped[Decimal] = mapped_column(Amount)
    fees: Mapped[Decimal] = mapped_column(Amount)
    adjustments: Mapped[Decimal] = mapped_column(Amount)
    day_pnl: Mapped[Decimal] = mapped_column(Amount)


class OpenBreakRow(Base):
    """A break that was open when a day was signed off. `rules.values.OpenBreak` documents the columns."""

    __tablename__ = "day_close_breaks"
    __table_args__ = (
        _build_day_key(),
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
        CheckConstraint(f"kind IN ({', '.join(map(repr, BREAK_KINDS))})", name="kind_is_known"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    date: Mapped[str] = mapped_column(String(10), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger)
    portfolio_name: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
