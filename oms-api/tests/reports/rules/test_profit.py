"""P&L by group and day."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from app.reports.rules.profit import (
    BookedRow,
    DayKey,
    Grouping,
    GroupKey,
    GroupResult,
    ProfitTotals,
    sum_by,
    sum_days,
)
from tests.reports.fills import to_decimals


def build_row(realized_pnl=0, charges=0, *, is_trade=True, volume=100, **changes):
    fields: dict[str, Any] = {
        "portfolio": "Growth",
        "currency": "USD",
        "symbol": "AAPL",
        "user": None,
        "strategy": None,
    }
    fields |= {"user": None, "strategy": None, "day": date(2026, 11, 20)} | changes
    return BookedRow(
        **fields,
        is_trade=is_trade,
        realized_pnl=Decimal(realized_pnl),
        charges=Decimal(charges),
        volume=Decimal(volume),
    )


ROWS = [
    build_row(100, 1),
    build_row(-30, 1, symbol="MSFT", user="U1"),
    build_row(
        0, 1, portfolio="India", currency="INR", symbol="INFY", strategy="Momentum", day=date(2026, 11, 21)
    ),
    build_row(-100, -1, is_trade=False, day=date(2026, 11, 21)),
]


@pytest.mark.parametrize(
    ("grouping", "sums"),
    [
        (Grouping.PORTFOLIO, {("Growth", "USD"): -30, ("India", "INR"): 0}),
        (Grouping.SYMBOL, {("AAPL", "USD"): 0, ("MSFT", "USD"): -30, ("INFY", "INR"): 0}),
        (Grouping.USER, {(None, "USD"): 0, ("U1", "USD"): -30, (None, "INR"): 0}),
        (Grouping.STRATEGY, {(None, "USD"): -30, ("Momentum", "INR"): 0}),
        (Grouping.DAY, {("2026-11-20", "USD"): 70, ("2026-11-21", "INR"): 0, ("2026-11-21", "USD"): -100}),
    ],
)
def test_rows_are_summed_by_group_and_currency(grouping, sums):
    totals_by_group = sum_by(grouping, ROWS)
    assert {tuple(key): totals.realized_pnl for key, totals in totals_by_group.items()} == sums


def test_reversal_returns_pnl_and_charges_and_is_not_a_trade():
    totals = sum_by(Grouping.SYMBOL, [build_row(100, 1), build_row(-100, -1, is_trade=False)])[
        GroupKey("AAPL", "USD")
    ]
    assert (totals.trades, totals.realized_pnl, totals.charges, totals.volume) == to_decimals(1, 0, 0, 100)


def test_day_counts_wins_losses_and_its_drawdown():
    days = sum_days(
        [build_row(50, 1), build_row(-20, 1), build_row(-20, 1), build_row(30, 1), build_row(0, 1)]
    )
    totals = days[DayKey(date(2026, 11, 20), "Growth", "USD")]
    assert (totals.trades, totals.wins, totals.losses, totals.volume) == to_decimals(5, 2, 2, 500)
    assert (totals.realized_pnl, totals.charges, totals.net_pnl) == to_decimals(40, 5, 35)
    assert totals.max_drawdown == 42  # from 49 to 7


def test_drawdown_of_a_losing_day_starts_at_zero():
    totals = ProfitTotals()
    totals.add(build_row(-10, 1))
    assert totals.max_drawdown == 11


def test_net_is_gross_less_charges():
    result = GroupResult(
        GroupKey("Growth", "USD"), sum_by(Grouping.PORTFOLIO, [build_row(40, 5)]).popitem()[1], None
    )
    assert (result.gross_pnl, result.net_pnl) == to_decimals(40, 35)
    valued = result._replace(unrealized_pnl=Decimal(10))
    assert (valued.gross_pnl, valued.net_pnl) == to_decimals(50, 45)
