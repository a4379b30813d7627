"""Tables of quotes and of one-minute bars."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant
from app.instruments.models import SymbolText

_UNMATCHED = text("unmatched_since IS NOT NULL")
_POSITIVE = "{0} IS NULL OR CAST({0} AS NUMERIC) > 0"


class QuoteRow(Base):
    """The latest manual quote of a symbol of a tenant. Simulated quotes are not stored.

    `unmatched_since` is the time of its arrival until all portfolios with orders of its symbol have met it;
    null for a quote that met them in the transaction that stored it.
    """

    __tablename__ = "quotes"
    __table_args__ = (
        Index(
            "ix_quotes_unmatched", "tenant_id", "symbol", postgresql_where=_UNMATCHED, sqlite_where=_UNMATCHED
        ),
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


class BarRow(Base):
    """A one-minute bar of manual quotes."""

    __tablename__ = "bars"

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(SymbolText, primary_key=True)
    start: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    open: Mapped[Decimal] = mapped_column(Amount)
    high: Mapped[Decimal] = mapped_column(Amount)
    low: Mapped[Decimal] = mapped_column(Amount)
    close: Mapped[Decimal] = mapped_column(Amount)
    volume: Mapped[Decimal | None] = mapped_column(Amount)
