"""Statistics of closed round trips."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.money import ZERO
from app.performance.rules.values import CONTEXT


class ClosedTrip(NamedTuple):
    """A round trip: when it closed, and what it earned net of charges."""

    closed_at: datetime
    net_pnl: Decimal


class TripStatistics(NamedTuple):
    """What closed round trips earned. Amounts are net of charges; None without such a round trip."""

    round_trips: int
    win_rate: Decimal | None
    profit_factor: Decimal | None
    expectancy: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None


def summarize_trips(earned: Sequence[Decimal]) -> TripStatistics:
    """Return the statistics of what round trips earned. One without profit is neither a win nor a loss."""
    wins = [pnl for pnl in earned if pnl > 0]
    losses = [pnl for pnl in earned if pnl < 0]
    won, lost = sum(wins, ZERO), sum(losses, ZERO)
    return TripStatistics(
        round_trips=len(earned),
        win_rate=_compute_ratio(Decimal(len(wins)), len(earned)),
        profit_factor=_compute_ratio(won, -lost),
        expectancy=_compute_ratio(won + lost, len(earned)),
        average_win=_compute_ratio(won, len(wins)),
        average_loss=_compute_ratio(lost, len(losses)),
    )


def _compute_ratio(amount: Decimal, divisor: Decimal | int) -> Decimal | None:
    return CONTEXT.divide(amount, Decimal(divisor)) if divisor else None
