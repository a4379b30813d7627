"""The table of instruments."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant


class InstrumentRow(Base):
    """The terms of a symbol, as a tenant has set them."""

    __tablename__ = "instruments"
    __table_args__ = (
        CheckConstraint("CAST(tick_size AS NUMERIC) > 0", name="tick_is_positive"),
        CheckConstraint("CAST(lot_size AS NUMERIC) > 0", name="lot_is_positive"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(20), primary_key=True)
    exchange: Mapped[str] = mapped_column(String(20))
    asset_class: Mapped[str] = mapped_column(String(20))
    currency: Mapped[str] = mapped_column(String(3))
    tick_size: Mapped[Decimal] = mapped_column(Amount)
    lot_size: Mapped[Decimal] = mapped_column(Amount)
    is_tradable: Mapped[bool] = mapped_column(Boolean)
    is_restricted: Mapped[bool] = mapped_column(Boolean)
    name: Mapped[str] = mapped_column(String(100), server_default="")
    updated_at: Mapped[datetime] = mapped_column(Instant)
