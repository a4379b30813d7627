"""Table of the dates that the operator set. It belongs to no tenant."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant


class CalendarDayRow(Base):
    """The sessions of a market on a local date, `date` as in 2026-11-27.

    `sessions` is a JSON list of local times, `[["09:15", "15:30"]]`. Each change takes the next `version`, so
    that a process sees from the largest version whether its calendars are current.
    """

    __tablename__ = "calendar_days"
    __table_args__ = (
        UniqueConstraint("version"),
        CheckConstraint(
            "kind IN ('regular', 'half_day', 'special', 'holiday', 'unknown')", name="kind_is_known"
        ),
    )

    market: Mapped[str] = mapped_column(String(10), primary_key=True)
    date: Mapped[str] = mapped_column(String(10), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    sessions: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(String(100))
    source: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    set_by: Mapped[str] = mapped_column(String(300))
    set_at: Mapped[datetime] = mapped_column(Instant)
