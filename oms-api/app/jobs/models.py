"""The tables of jobs and of their runs."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant, Serial


class JobRow(Base):
    """A recurring job with its lease and its last run. It belongs to the installation, not to a tenant.

    `holder` is the process of the last run. While it runs, `leased_until` is set. `finished_at` is the end of
    the last run that succeeded; `error` belongs to the last run. `requested_at` is when a run was requested
    that has not started yet. A state that a job has found is a row too: see `mark_state`.
    """

    __tablename__ = "duties"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str | None] = mapped_column(String(100))
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[datetime | None] = mapped_column(Instant)


class JobRunRow(Base):
    """A run of a job. A slot of a job runs once."""

    __tablename__ = "duty_runs"
    __table_args__ = (
        UniqueConstraint("name", "slot"),
        CheckConstraint("status IN ('running', 'succeeded', 'failed')", name="status_is_known"),
        Index(None, "name", "id"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    slot: Mapped[datetime] = mapped_column(Instant)
    holder: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(9))
    started_at: Mapped[datetime] = mapped_column(Instant)
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
