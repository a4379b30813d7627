"""The table of equity snapshots."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant, build_partial_index

IS_KEPT = text("kind <> 'interval'")


class EquitySnapshot(Base):
    """The value of a portfolio at an instant, in its currency.

    The kind is "interval", "close" (of the portfolio's P&L day) or "flow" (just after a deposit or a
    withdrawal). `market_value` is signed, `gross_exposure` is not. `realized_pnl` is before charges.
    `charges`, `realized_pnl` and `flows` are sums since the portfolio was opened: the sums of a period are
    differences. Closes are never restated. At closes, `currencies` has the positions in other
    currencies as JSON, `{"USD": ["100.00000000", "8350.00000000", "83.50000000"]}`: the market value there
    and in the portfolio's currency, and the rate or null. It is null without such positions.
    """

    __tablename__ = "equity_snapshots"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
        CheckConstraint("kind IN ('interval', 'close', 'flow')", name="kind_is_known"),
        build_partial_index("ix_equity_snapshots_kept", IS_KEPT, "tenant_id", "portfolio_id", "at"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    cash: Mapped[Decimal] = mapped_column(Amount)
    market_value: Mapped[Decimal] = mapped_column(Amount)
    gross_exposure: Mapped[Decimal] = mapped_column(Amount)
    equity: Mapped[Decimal] = mapped_column(Amount)
    realized_pnl: Mapped[Decimal] = mapped_column(Amount)
    unrealized_pnl: Mapped[Decimal] = mapped_column(Amount)
    charges: Mapped[Decimal] = mapped_column(Amount)
    flows: Mapped[Decimal] = mapped_column(Amount)
    currencies: Mapped[str | None] = mapped_column(Text)
