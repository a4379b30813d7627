"""Statistics of closed round trips."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.money import ZERO
from app.performance.rules.values import CONTEXT


class ClosedTrip(NamedTuple):
    """A round trip: when it closed, and its P&L net of charges."""

    closed_at: datetime
    net_pnl: Decimal


class TripStatistics(NamedTuple):
    """The P&L of closed round trips. Amounts are net of charges; None if there is no such round trip."""

    round_trips: int
    win_rate: Decimal | None
    profit_factor: Decimal | None
    expectancy: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None


def summarize_trips(trip_pnls: Sequence[Decimal]) -> TripStatistics:
    """Return the statistics of the P&L of round trips. A P&L of zero is neither a win nor a loss."""
    wins = [pnl for pnl in trip_pnls if pnl > 0]
    losses = [pnl for pnl in trip_pnls if pnl < 0]
    total_profit, total_loss = sum(wins, ZERO), sum(losses, ZERO)
    return TripStatistics(
        round_trips=len(trip_pnls),
        win_rate=_compute_ratio(Decimal(len(wins)), len(trip_pnls)),
        profit_factor=_compute_ratio(total_profit, -total_loss),
        expectancy=_compute_ratio(total_profit + total_loss, len(trip_pnls)),
        average_win=_compute_ratio(total_profit, len(wins)),
        average_loss=_compute_ratio(total_loss, len(losses)),
    )


def _compute_ratio(amount: Decimal, divisor: Decimal | int) -> Decimal | None:
    return CONTEXT.divide(amount, Decimal(divisor)) if divisor else None
