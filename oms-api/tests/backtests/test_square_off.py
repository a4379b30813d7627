"""Intraday positions of a backtest are squared off as in the service."""

from decimal import Decimal
from typing import Any

import pytest

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.settings import InstrumentTerms, parse_costs
from app.market_data.rules.bars import Interval
from slackoms_strategy import OrderType, TimeInForce
from tests.backtests.bars import build_line
from tests.backtests.order_steps import buy_units, sell_units
from tests.backtests.support import Scripted, format_fills, run_backtest

# 2026-01-05 is a Monday. The NSE trades from 03:45 to 10:00 UTC, and squares off at 09:50.
OPEN, SQUARE_OFF, CLOSE = 225, 590, 600
MINUTES = [OPEN, OPEN + 1, *range(SQUARE_OFF - 2, CLOSE + 1)]
SETTINGS: dict[str, Any] = {
    "instruments": InstrumentTerms("NSE"), "product": "MIS", "enforces_sessions": True,
    "costs": parse_costs("zerodha"),
}  # fmt: skip


def build_bars(days=(0,)):
    return [
        build_line(day * 1440 + minute, "/".join([f"{100 + minute % 7}"] * 4))
        for day in days
        for minute in MINUTES
    ]


def run_steps_with_square_off(steps, lines=None, **changes):
    strategy = Scripted(steps)
    return strategy, run_backtest(strategy, lines or build_bars(), **{**SETTINGS, **changes})


def test_position_is_closed_and_orders_are_canceled():
    limit = buy_units(5, type=OrderType.LIMIT, limit_price=1, time_in_force=TimeInForce.GTC)
    strategy, finished = run_steps_with_square_off({0: buy_units(10), 1: limit})
    # The square-off is at the bar of 09:50, whose open is 100 + 590 % 7.
    assert format_fills(strategy.fills) == ["O1 BUY 10 @ 102", "O3 SELL 10 @ 102"]
    assert strategy.fills[1].at.strftime("%H:%M") == "09:50"
    last = {order.id: (order.status.value, order.reason) for order in strategy.orders}
    assert last == {
        "O1": ("FILLED", None), "O2": ("CANCELED", "Squared off"), "O3": ("FILLED", "Squared off"),
    }  # fmt: skip
    assert not any(position.quantity for position in finished.account.positions.values())


def test_broker_charges_the_square_off():
    _, squared = run_steps_with_square_off({0: buy_units(10)})
    _, closed = run_steps_with_square_off({0: buy_units(10), 1: sell_units(10)})
    assert squared.account.charges - closed.account.charges >= Decimal(50)


def test_intraday_order_is_denied_until_the_close_and_passes_the_next_day():
    strategy, _ = run_steps_with_square_off(
        {5: buy_units(10), len(MINUTES): buy_units(1)}, build_bars((0, 1))
    )
    denied = [order for order in strategy.orders if order.status.value == "DENIED"]
    assert [order.reason for order in denied] == [
        "MIS positions were closed at 2026-01-05T09:50:00.000000Z, and MIS orders end with them."
    ]
    assert [fill.at.day for fill in strategy.fills] == [6, 6]


DAYS = [build_line(day * 1440, "10/10/10/10") for day in range(3)]
NEW_YORK = [build_line(minute, "10/10/10/10") for minute in (870, 871, 1258, 1259, 1260)]


@pytest.mark.parametrize(
    ("lines", "changes"),
    [
        (build_bars(), {"product": "CNC"}),
        (build_bars(), {"enforces_sessions": False}),
        (DAYS, {"interval": Interval.DAY}),
        (NEW_YORK, {"instruments": InstrumentTerms("NYSE"), "costs": parse_costs("none")}),
    ],
)
def test_other_positions_are_kept(lines, changes):
    _, finished = run_steps_with_square_off({0: buy_units(10)}, lines, **changes)
    assert any(position.quantity for position in finished.account.positions.values())


def test_short_positions_are_squared_off_on_each_day():
    strategy, _ = run_steps_with_square_off(
        {0: sell_units(10), len(MINUTES): buy_units(3)}, build_bars((0, 1))
    )
    assert [(fill.side.value, fill.quantity, fill.at.day) for fill in strategy.fills] == [
        ("SELL", 10, 5), ("BUY", 10, 5), ("BUY", 3, 6), ("SELL", 3, 6),
    ]  # fmt: skip


def test_unknown_sessions_are_an_error():
    with pytest.raises(InvalidBacktest, match="XNSE"):
        run_steps_with_square_off({0: buy_units(10)}, [bar.replace("2026", "1999") for bar in build_bars()])
