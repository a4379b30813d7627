"""The table of daily statistics."""

from decimal import Decimal

from sqlalchemy import BigInteger, ForeignKeyConstraint, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base


class DailyStatsRow(Base):
    """The statistics of a portfolio and day (UTC) that is over, append-only; see `rules.profit.ProfitTotals`.

    A day without a row of the ledger has none.
    """

    __tablename__ = "daily_stats"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    date: Mapped[str] = mapped_column(String(10), primary_key=True)
    trades: Mapped[int] = mapped_column(BigInteger)
    wins: Mapped[int] = mapped_column(BigInteger)
    losses: Mapped[int] = mapped_column(BigInteger)
    volume: Mapped[Decimal] = mapped_column(Amount)
    realized_pnl: Mapped[Decimal] = mapped_column(Amount)
    charges: Mapped[Decimal] = mapped_column(Amount)
    max_drawdown: Mapped[Decimal] = mapped_column(Amount)
