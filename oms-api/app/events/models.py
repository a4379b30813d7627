"""The table of events."""

from datetime import datetime

from sqlalchemy import Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant, Serial


class Event(Base):
    """One change, told once it is committed. `payload` is JSON text: what changed, as it is after that."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "tenant_id", "id"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)  # no foreign key: it would be checked for every trade
    type: Mapped[str] = mapped_column(String(60))
    payload: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
