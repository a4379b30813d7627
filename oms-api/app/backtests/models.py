"""Tables of the backtests that run as jobs."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant, build_partial_index

IS_UNFINISHED = text("status IN ('queued', 'running')")


class BacktestRow(Base):
    """A backtest: its request, its status and its result.

    `progress` is in thousandths. `statistics` is JSON. `leased_until` is the end of the lease of the process
    that runs it.
    """

    __tablename__ = "backtests"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="status_is_known"),
        CheckConstraint("(status = 'done') = (result_hash IS NOT NULL)", name="result_is_whole"),
        build_partial_index("ix_backtests_unfinished", IS_UNFINISHED, "created_at"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    strategy: Mapped[str] = mapped_column(String(300))
    entry_point: Mapped[str] = mapped_column(String(300))
    parameters: Mapped[str] = mapped_column(Text)
    symbols: Mapped[str] = mapped_column(Text)
    interval: Mapped[str] = mapped_column(String(3))
    since: Mapped[datetime] = mapped_column(Instant)
    until: Mapped[datetime] = mapped_column(Instant)
    cash: Mapped[Decimal] = mapped_column(Amount)
    costs: Mapped[str] = mapped_column(String(60))
    settings: Mapped[str] = mapped_column(Text)
    seed: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(7))
    progress: Mapped[int] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    code_hash: Mapped[str] = mapped_column(String(64))
    data_hash: Mapped[str | None] = mapped_column(String(64))
    result_hash: Mapped[str | None] = mapped_column(String(64))
    statistics: Mapped[str | None] = mapped_column(Text)
    holder: Mapped[str | None] = mapped_column(String(100))
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    created_by: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Instant)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class BacktestFileRow(Base):
    """A file of a finished backtest, compressed with gzip: orders.csv, fills.csv, equity.csv, report.html."""

    __tablename__ = "backtest_files"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "backtest_id"], ["backtests.tenant_id", "backtests.id"], ondelete="CASCADE"
        ),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    backtest_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
