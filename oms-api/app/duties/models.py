"""The table of duties."""

from datetime import datetime

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant


class DutyRow(Base):
    """A recurring job with its lease and its last run. It belongs to the installation, not to a tenant.

    `holder` is the process of the last run. While it runs, `leased_until` is set. `finished_at` is the end of
    the last run that succeeded; `error` belongs to the last run. A state that a duty has found is a row too:
    see `mark_state`.
    """

    __tablename__ = "duties"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str | None] = mapped_column(String(100))
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
