"""The table of events."""

from datetime import datetime

from sqlalchemy import Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant, Serial


class Event(Base):
    """A committed change. `payload` is JSON text: the changed object in its new state.

    `following` are further events of the same object and instant: see `rules.pack_outbox_events`.
    """

    __tablename__ = "events"
    __table_args__ = (Index(None, "tenant_id", "id"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)  # no foreign key, which would be checked for every trade
    type: Mapped[str] = mapped_column(String(60))
    payload: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    following: Mapped[str | None] = mapped_column(Text)
