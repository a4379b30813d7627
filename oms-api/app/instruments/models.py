"""Tables of instruments."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant
from app.instruments.rules import MAX_SYMBOL_CHARACTERS

# SQLite does not enforce lengths, so migration 0013 leaves its column declarations unchanged.
SymbolText = String(MAX_SYMBOL_CHARACTERS).with_variant(String(20), "sqlite")


class InstrumentRow(Base):
    """The terms of a symbol of a tenant."""

    __tablename__ = "instruments"
    __table_args__ = (
        CheckConstraint("CAST(tick_size AS NUMERIC) > 0", name="tick_is_positive"),
        CheckConstraint("CAST(lot_size AS NUMERIC) > 0", name="lot_is_positive"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(SymbolText, primary_key=True)
    exchange: Mapped[str] = mapped_column(String(20))
    asset_class: Mapped[str] = mapped_column(String(20))
    currency: Mapped[str] = mapped_column(String(3))
    tick_size: Mapped[Decimal] = mapped_column(Amount)
    lot_size: Mapped[Decimal] = mapped_column(Amount)
    is_tradable: Mapped[bool] = mapped_column(Boolean)
    is_restricted: Mapped[bool] = mapped_column(Boolean)
    name: Mapped[str] = mapped_column(String(100), server_default="")
    sector: Mapped[str] = mapped_column(String(60), server_default="")
    updated_at: Mapped[datetime] = mapped_column(Instant)


class InstrumentAliasRow(Base):
    """An alias of an instrument. Orders and trades of `alias` are recorded under `symbol`."""

    __tablename__ = "instrument_aliases"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "symbol"], ["instruments.tenant_id", "instruments.symbol"]),
        CheckConstraint("alias <> symbol", name="alias_is_another_name"),
        Index(None, "tenant_id", "symbol"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    alias: Mapped[str] = mapped_column(SymbolText, primary_key=True)
    symbol: Mapped[str] = mapped_column(SymbolText)
