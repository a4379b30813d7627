"""Realized P&L by group, and daily statistics, from the rows of the ledger as they were booked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import ZERO
from app.reports.rules.values import UsedRate


class Grouping(StrEnum):
    """The grouping of the P&L."""

    PORTFOLIO = "portfolio"
    STRATEGY = "strategy"
    SYMBOL = "symbol"
    DAY = "day"
    USER = "user"


class BookedRow(NamedTuple):
    """A row of the ledger. Amounts are in the portfolio's currency; `day` is the UTC day of its booking.

    A reversal has the P&L and the charges of the trade that it undid, with the opposite sign.
    """

    portfolio: str
    currency: str
    symbol: str
    user: str | None
    strategy: str | None
    day: date
    is_trade: bool
    realized_pnl: Decimal
    charges: Decimal
    volume: Decimal

    def get_group(self, grouping: Grouping) -> str | None:
        """Return the group that the row belongs to, None for rows without a user or strategy."""
        value = getattr(self, grouping.value)
        return value if value is None else str(value)


class GroupKey(NamedTuple):
    """A group in one currency."""

    name: str | None
    currency: str


@dataclass(slots=True)
class ProfitTotals:
    """Sums of rows. `wins` and `losses` count trades that realized a gain or a loss, before charges.

    `max_drawdown` is the largest fall of the realized P&L after charges from its peak, at least zero.
    """

    trades: int = 0
    wins: int = 0
    losses: int = 0
    volume: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    charges: Decimal = ZERO
    max_drawdown: Decimal = ZERO
    _peak: Decimal = ZERO

    @property
    def net_pnl(self) -> Decimal:
        """Realized P&L after charges."""
        return self.realized_pnl - self.charges

    def add(self, row: BookedRow) -> None:
        """Add a row. Rows must come in the order of their booking."""
        self.realized_pnl += row.realized_pnl
        self.charges += row.charges
        self._peak = max(self._peak, self.net_pnl)
        self.max_drawdown = max(self.max_drawdown, self._peak - self.net_pnl)
        if row.is_trade:
            self.trades += 1
            self.volume += row.volume
            self.wins += row.realized_pnl > 0
            self.losses += row.realized_pnl < 0


class GroupResult(NamedTuple):
    """The P&L of a group. `unrealized_pnl` is None where the group has no positions."""

    key: GroupKey
    totals: ProfitTotals
    unrealized_pnl: Decimal | None

    @property
    def gross_pnl(self) -> Decimal:
        """Realized and unrealized P&L before charges."""
        return self.totals.realized_pnl + (self.unrealized_pnl or ZERO)

    @property
    def net_pnl(self) -> Decimal:
        """Gross P&L less charges."""
        return self.gross_pnl - self.totals.charges


@dataclass(frozen=True, slots=True)
class ConvertedTotal:
    """All groups together in the tenant's currency."""

    currency: str
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    charges: Decimal
    rates: list[UsedRate]

    @property
    def net_pnl(self) -> Decimal:
        """Realized and unrealized P&L less charges."""
        return self.realized_pnl + (self.unrealized_pnl or ZERO) - self.charges


@dataclass(frozen=True, slots=True)
class ProfitReport:
    """P&L by group. `total` is None if a currency has no rate to the tenant's."""

    groups: list[GroupResult]
    total: ConvertedTotal | None


def sum_by(grouping: Grouping, rows: Iterable[BookedRow]) -> dict[GroupKey, ProfitTotals]:
    """Return the sums of each group and currency."""
    groups: dict[GroupKey, ProfitTotals] = {}
    for row in rows:
        groups.setdefault(GroupKey(row.get_group(grouping), row.currency), ProfitTotals()).add(row)
    return groups


class DayKey(NamedTuple):
    """A portfolio's day."""

    day: date
    portfolio: str
    currency: str


class DayReport(NamedTuple):
    """Statistics by portfolio and day, and the rates by currency to the tenant's currency, where known."""

    days: dict[DayKey, ProfitTotals]
    base_currency: str
    rates: Mapping[str, UsedRate]


def sum_days(rows: Iterable[BookedRow]) -> dict[DayKey, ProfitTotals]:
    """Return the statistics of each portfolio and day on which something was booked."""
    days: dict[DayKey, ProfitTotals] = {}
    for row in rows:
        days.setdefault(DayKey(row.day, row.portfolio, row.currency), ProfitTotals()).add(row)
    return days
