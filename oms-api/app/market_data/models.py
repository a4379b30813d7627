"""Tables of quotes, of their ticks, of bars, and of marks that people set."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant, Serial, build_partial_index
from app.instruments.models import SymbolText

_UNMATCHED = text("unmatched_since IS NOT NULL")
_POSITIVE = "{0} IS NULL OR CAST({0} AS NUMERIC) > 0"


class QuoteRow(Base):
    """The latest manual quote of a symbol of a tenant. Simulated quotes are not stored.

    `unmatched_since` is the time of its arrival until the orders of its symbol are matched in all portfolios;
    null for a quote that was matched in the transaction that stored it.
    """

    __tablename__ = "quotes"
    __table_args__ = (
        build_partial_index("ix_quotes_unmatched", _UNMATCHED, "tenant_id", "symbol"),
        CheckConstraint("bid IS NOT NULL OR ask IS NOT NULL OR last IS NOT NULL", name="quote_says_a_price"),
        CheckConstraint(_POSITIVE.format("bid"), name="bid_is_positive"),
        CheckConstraint(_POSITIVE.format("ask"), name="ask_is_positive"),
        CheckConstraint(_POSITIVE.format("last"), name="last_is_positive"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(SymbolText, primary_key=True)
    bid: Mapped[Decimal | None] = mapped_column(Amount)
    ask: Mapped[Decimal | None] = mapped_column(Amount)
    last: Mapped[Decimal | None] = mapped_column(Amount)
    bid_size: Mapped[Decimal | None] = mapped_column(Amount)
    ask_size: Mapped[Decimal | None] = mapped_column(Amount)
    at: Mapped[datetime] = mapped_column(Instant)
    source: Mapped[str] = mapped_column(String(20))
    unmatched_since: Mapped[datetime | None] = mapped_column(Instant)


class TickRow(Base):
    """A manual quote as it arrived. Ticks are deleted after TICK_RETENTION_DAYS.

    The ticks of a symbol are in the order of `at`, and of `id` where that is equal.
    """

    __tablename__ = "ticks"
    __table_args__ = (Index(None, "tenant_id", "symbol", "at"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)  # no foreign key: its quote in `quotes` has one
    symbol: Mapped[str] = mapped_column(SymbolText)
    bid: Mapped[Decimal | None] = mapped_column(Amount)
    ask: Mapped[Decimal | None] = mapped_column(Amount)
    last: Mapped[Decimal | None] = mapped_column(Amount)
    bid_size: Mapped[Decimal | None] = mapped_column(Amount)
    ask_size: Mapped[Decimal | None] = mapped_column(Amount)
    at: Mapped[datetime] = mapped_column(Instant)
    source: Mapped[str] = mapped_column(String(20))


class BarColumns:
    """The columns of a bar."""

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(SymbolText, primary_key=True)
    start: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    open: Mapped[Decimal] = mapped_column(Amount)
    high: Mapped[Decimal] = mapped_column(Amount)
    low: Mapped[Decimal] = mapped_column(Amount)
    close: Mapped[Decimal] = mapped_column(Amount)
    volume: Mapped[Decimal | None] = mapped_column(Amount)


class BarRow(BarColumns, Base):
    """A one-minute bar of ticks. It is never deleted."""

    __tablename__ = "bars"


class DailyBarRow(BarColumns, Base):
    """The bar of a UTC day that has ended, combined from its one-minute bars."""

    __tablename__ = "daily_bars"


class MarkOverrideRow(Base):
    """The price that a person set to value positions in a symbol until it expires."""

    __tablename__ = "mark_overrides"
    __table_args__ = (CheckConstraint("CAST(price AS NUMERIC) > 0", name="price_is_positive"),)

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(SymbolText, primary_key=True)
    price: Mapped[Decimal] = mapped_column(Amount)
    reason: Mapped[str] = mapped_column(Text)
    set_by: Mapped[str] = mapped_column(String(300))
    set_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class SubscriptionRow(Base):
    """A symbol whose quotes a tenant always follows."""

    __tablename__ = "market_data_subscriptions"

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(40), primary_key=True)
    created_by: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Instant)
