"""The statistics of a strategy, from the fills of its orders by the functions of a portfolio."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple

from app.backtests.rules.trips import TripTracker
from app.ledger.rules.accounting import FLAT, Fill, Position, Side, apply_fill
from app.ledger.rules.keys import PositionKey
from app.money import ZERO, format_fixed
from app.performance.rules.reports import summarize_equity
from app.performance.rules.trip_statistics import summarize_trips
from app.performance.rules.values import CALENDAR_DAYS_A_YEAR, TRADING_DAYS_A_YEAR, EquitySeries
from app.timestamps import Timestamp, format_timestamp

_DAY = timedelta(days=1)
_SATURDAY = 5


class StrategyFill(NamedTuple):
    """A fill of a strategy's order. `value` and `charges` are in the currency of the portfolio.

    Fills with the same `position_key` open and close one position.
    """

    position_key: PositionKey
    side: Side
    quantity: Decimal
    value: Decimal
    charges: Decimal
    at: datetime


class StrategyStatistics(NamedTuple):
    """The P&L of a strategy's closed round trips, net of charges.

    `max_drawdown` is a share of the peak of capital and earnings; None where there is nothing to compute.
    """

    trades: int
    wins: int
    losses: int
    win_rate: float | None
    pnl_net: Decimal
    max_drawdown: float | None
    sharpe: float | None


class _Earning(NamedTuple):
    at: datetime
    amount: Decimal


NO_STATISTICS = StrategyStatistics(0, 0, 0, None, ZERO, None, None)


def compute_statistics(fills: Iterable[StrategyFill], capital: Decimal) -> StrategyStatistics:
    """Return the statistics of fills in time order. `capital` is the base of the returns."""
    earnings = _list_earnings(fills)
    if not earnings:
        return NO_STATISTICS
    earned_amounts = [earning.amount for earning in earnings]
    trips = summarize_trips(earned_amounts)
    sharpe, drawdown = _compute_risk_figures(earnings, capital) if capital > ZERO else (None, None)
    return StrategyStatistics(
        trades=trips.round_trips,
        wins=sum(amount > 0 for amount in earned_amounts),
        losses=sum(amount < 0 for amount in earned_amounts),
        win_rate=None if trips.win_rate is None else float(trips.win_rate),
        pnl_net=sum(earned_amounts, ZERO),
        max_drawdown=drawdown,
        sharpe=sharpe,
    )


def _list_earnings(fills: Iterable[StrategyFill]) -> list[_Earning]:
    """Return the P&L of each closed round trip, and when it closed."""
    positions: defaultdict[PositionKey, Position] = defaultdict(lambda: FLAT)
    trackers: defaultdict[PositionKey, TripTracker] = defaultdict(TripTracker)
    earnings: list[_Earning] = []
    for fill in fills:
        position, tracker = positions[fill.position_key], trackers[fill.position_key]
        current = apply_fill(position, Fill(fill.side, fill.quantity, fill.value))
        before = len(tracker.earned)
        tracker.book_fill(position, current, fill.side.sign * fill.quantity, fill.charges)
        positions[fill.position_key] = current
        earnings += [_Earning(fill.at, amount) for amount in tracker.earned[before:]]
    return earnings


def _compute_risk_figures(
    earnings: Sequence[_Earning], capital: Decimal
) -> tuple[float | None, float | None]:
    """Return the Sharpe ratio and the largest drawdown of the capital with the earnings of each day."""
    by_day: defaultdict[date, Decimal] = defaultdict(lambda: ZERO)
    for earning in earnings:
        by_day[earning.at.astimezone(UTC).date()] += earning.amount
    trades_weekends = any(day.weekday() >= _SATURDAY for day in by_day)
    first = min(by_day)
    last = max(by_day)
    days = [first + number * _DAY for number in range((last - first).days + 1)]
    days = [day for day in days if trades_weekends or day.weekday() < _SATURDAY]
    equity = capital
    equities = [float(capital)]
    for day in days:
        equity += by_day.get(day, ZERO)
        equities.append(float(equity))
    statistics = summarize_equity(
        EquitySeries(
            [_format_midnight(first), *(_format_midnight(day + _DAY) for day in days)],
            equities,
            [0.0] * len(equities),
            [False, *[True] * len(days)],
            [0.0] * len(equities),
            [format_fixed(ZERO)] * len(equities),
        ),
        [],
        CALENDAR_DAYS_A_YEAR if trades_weekends else TRADING_DAYS_A_YEAR,
    )
    drawdown = statistics.max_drawdown
    return statistics.sharpe, None if drawdown is None else drawdown.share


def _format_midnight(day: date) -> Timestamp:
    return format_timestamp(datetime.combine(day, time(), UTC))
