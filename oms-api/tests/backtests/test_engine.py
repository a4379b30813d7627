"""A backtest matches, charges and denies as the service does, and never sees the future."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from app.backtests.errors import InvalidBacktest, StrategyFailed
from app.backtests.rules.settings import InstrumentTerms, parse_costs
from app.brokers.rules.settings import PaperSettings
from app.risk.rules.limits import LimitCode
from slackoms_strategy import (
    Cross,
    Highest,
    OrderStatus,
    OrderType,
    Side,
    SimpleMovingAverage,
    Strategy,
    TimeInForce,
)
from slackoms_strategy.examples.moving_average_cross import MovingAverageCross
from tests.backtests.bars import START, build_line, build_lines_of_closes
from tests.backtests.order_steps import build_random_walk, buy_units, sell_units
from tests.backtests.support import Scripted, format_fills, read_rows, run_backtest, run_steps, to_decimal

BARS = [
    build_line(0, "10/11/9/10"), build_line(1, "11/12/10/11"),
    build_line(2, "12/13/11/12"), build_line(3, "13/14/9/10"),
    build_line(4, "10/10/8/9"),
]  # fmt: skip


class RandomTrader(Strategy):
    """Trades at random, with all types of orders, and changes its mind."""

    @override
    def on_start(self, context):
        self.high = context.indicator(Highest(5, delay=1))
        self.cross = context.indicator(Cross(SimpleMovingAverage(2), SimpleMovingAverage(5)))

    @override
    def on_bar(self, context, bar):
        draw = context.random
        side = draw.choice(list(Side))
        away = Decimal(draw.randint(-50, 50)) / 100
        price = max(context.history(bar.symbol, 3)[0].close + away, Decimal("0.01"))
        match draw.randint(0, 9):
            case 0 | 1:
                context.order(bar.symbol, side, draw.randint(1, 20))
            case 2:
                context.order(bar.symbol, side, 5, type=OrderType.LIMIT, limit_price=price)
            case 3:
                context.order(bar.symbol, side, 5, type=OrderType.STOP, stop_price=price)
            case 4:
                context.order(bar.symbol, side, 5, type=OrderType.TRAILING_STOP, trail_percent=1)
            case 5 if self.cross.value or self.high.value:
                exits = {"stop_loss": bar.close - 2, "take_profit": bar.close + 1}
                context.order(bar.symbol, Side.BUY, 10, **exits)
            case 6 if context.list_open_orders():
                context.cancel(context.list_open_orders(bar.symbol)[0].id)
            case _:
                pass


def test_order_fills_at_the_next_open_and_is_reported_at_the_end_of_that_bar():
    instants = []
    strategy = run_steps(BARS, {0: buy_units(), 1: lambda context, _: instants.append(context.now)})
    assert format_fills(strategy.fills) == ["O1 BUY 10 @ 11"]
    assert strategy.fills[0].at == START + timedelta(minutes=1)
    assert [order.status for order in strategy.orders] == [OrderStatus.ACCEPTED, OrderStatus.FILLED]
    assert instants == [START + timedelta(minutes=2)]


def test_latency_delays_the_order_to_the_first_bar_after_it():
    strategy = run_steps(BARS, {0: buy_units()}, market=PaperSettings(latency=timedelta(seconds=61)))
    assert format_fills(strategy.fills) == ["O1 BUY 10 @ 13"]


def test_spread_and_participation_apply():
    market = PaperSettings(spread=Decimal("0.5"), participation=Decimal("0.05"))
    strategy = run_steps(
        BARS, {0: buy_units(8)}, market=market, instruments=InstrumentTerms(lot_size=Decimal(1))
    )
    assert format_fills(strategy.fills) == ["O1 BUY 5 @ 11.25", "O1 BUY 3 @ 12.25"]
    assert OrderStatus.PARTIALLY_FILLED in [order.status for order in strategy.orders]


def test_exits_of_a_bracket_work_from_the_bar_after_the_entry_and_one_cancels_the_other():
    strategy = run_steps(BARS, {0: buy_units(take_profit=Decimal("13.5"), stop_loss=9)})
    assert format_fills(strategy.fills) == ["O1 BUY 10 @ 11", "O3 SELL 10 @ 9"]
    last = {order.id: order.status for order in strategy.orders}
    assert last == {"O1": OrderStatus.FILLED, "O2": OrderStatus.CANCELED, "O3": OrderStatus.FILLED}


def test_plain_sale_reduces_exits_to_the_remaining_position():
    strategy = run_steps(BARS, {0: buy_units(stop_loss=9), 1: sell_units(4)})
    assert format_fills(strategy.fills) == ["O1 BUY 10 @ 11", "O3 SELL 4 @ 12", "O2 SELL 6 @ 9"]
    closed = run_steps(BARS, {0: buy_units(stop_loss=9), 1: sell_units(10)})
    assert closed.orders[-1].reason == "The position that it protects was reduced."


def test_impossible_exit_denies_the_whole_ticket():
    strategy = run_steps(
        BARS, {0: buy_units(take_profit="13.123")}, instruments=InstrumentTerms(tick_size=Decimal("0.05"))
    )
    assert [order.status for order in strategy.orders] == [OrderStatus.DENIED]


def test_replaced_order_has_the_new_price_and_a_denied_change_leaves_it():
    def place(context, bar):
        order = context.order(bar.symbol, Side.BUY, 10, type=OrderType.LIMIT, limit_price="8")
        context.replace(order.id, quantity=20_000_000)
        assert context.find_order(order.id).limit_price == 8
        context.replace(order.id, limit_price="8.5")
        with pytest.raises(ValueError, match="Order O1 is not open"):
            context.replace(order.id, limit_price="9")

    strategy = run_steps(BARS, {0: place})
    assert format_fills(strategy.fills) == ["O3 BUY 10 @ 8.5"]
    assert [(order_state.id, order_state.status.value) for order_state in strategy.orders[1:4]] == [
        ("O2", "DENIED"), ("O1", "REPLACED"), ("O3", "ACCEPTED"),
    ]  # fmt: skip


def test_unfilled_rest_of_an_immediate_order_and_an_expired_one_end():
    at = START + timedelta(minutes=3)
    fields = {"type": OrderType.LIMIT, "limit_price": 1}
    steps = {
        0: buy_units(time_in_force=TimeInForce.IOC, **fields),
        1: buy_units(time_in_force=TimeInForce.GTD, expires_at=at, **fields),
    }
    strategy = run_steps(BARS, steps)
    assert [(order.id, order.status.value) for order in strategy.orders if not order.is_open] == [
        ("O1", "CANCELED"), ("O2", "EXPIRED"),
    ]  # fmt: skip


def test_limits_of_the_service_deny_orders():
    limits = {LimitCode.MAX_ORDER_VALUE: Decimal(100), LimitCode.MESSAGES_PER_MINUTE: Decimal(1)}

    def place_two_orders(context, bar):
        assert context.order(bar.symbol, Side.BUY, 10).status is OrderStatus.ACCEPTED
        assert "messages a minute" in (context.order(bar.symbol, Side.BUY, 10).reason or "")

    strategy = run_steps(BARS, {0: place_two_orders, 1: buy_units(10)}, limits=limits)
    assert strategy.orders[-1].reason == "An order may be worth at most 100."
    loss = run_steps(
        BARS, {0: buy_units(100), 3: buy_units(1)}, limits={LimitCode.MAX_DAILY_LOSS: Decimal(100)}
    )
    assert (
        loss.orders[-1].reason
        == "The loss of the day has reached 100: only orders that reduce a position pass."
    )
    free = run_steps(BARS, {0: buy_units(100_000_000)}, has_risk_checks=False)
    assert len(free.fills) == 1


def test_buying_power_counts_working_orders_and_charges():
    strategy = run_steps(
        BARS, {0: buy_units(60), 1: buy_units(60)}, cash=Decimal(1_300), costs=parse_costs("flat:10")
    )
    assert [order.status.value for order in strategy.orders if order.id == "O2"] == ["DENIED"]


def test_charges_follow_the_schedule():
    lines = build_lines_of_closes(["1000"] * 2 + ["1100"] * 2)
    settings: dict[str, Any] = {"costs": parse_costs("zerodha"), "instruments": InstrumentTerms("NSE")}
    result = run_backtest(Scripted({0: buy_units(400), 1: sell_units(400)}), lines, product="MIS", **settings)
    assert result.account.charges == Decimal("200.62")
    backtest_run = run_backtest(Scripted({0: buy_units(400)}), lines, product="CNC", **settings)
    assert backtest_run.account.cash == 1_000_000 - 400_000 - backtest_run.account.charges
    percent = run_backtest(Scripted({0: buy_units(400)}), lines, costs=parse_costs("percent:0.1"))
    assert percent.account.charges == 400


def test_delivery_sale_of_a_later_day_is_charged_once_per_symbol_and_day():
    lines = [build_line(day * 1440 + minute, "10/10/10/10") for day in range(2) for minute in range(5)]
    settings: dict[str, Any] = {
        "costs": parse_costs("zerodha"),
        "instruments": InstrumentTerms("NSE"),
        "product": "CNC",
    }
    once = run_backtest(Scripted({0: buy_units(10), 5: sell_units(5)}), lines, **settings).account.charges
    twice = run_backtest(
        Scripted({0: buy_units(10), 5: sell_units(5), 6: sell_units(5)}), lines, **settings
    ).account.charges
    charges = run_backtest(Scripted({0: buy_units(10)}), lines, **settings).account.charges
    assert once - charges >= Decimal("15.34")
    assert twice - once < Decimal("15.34")


def test_sessions_hold_orders_and_end_day_orders():
    # 2026-01-05 is a Monday; the New York session is 14:30 to 21:00 UTC.
    minutes = [869, 870, 871, 1259, 1260]
    lines = [build_line(minute, "10/10/10/10") for minute in minutes]
    settings: dict[str, Any] = {"instruments": InstrumentTerms("NYSE"), "enforces_sessions": True}
    step = {0: buy_units(), 2: buy_units(type=OrderType.LIMIT, limit_price=1)}
    strategy = run_steps(lines, step, **settings)
    assert [fill.at.minute for fill in strategy.fills] == [30]
    assert strategy.orders[-1].status is OrderStatus.EXPIRED
    old = [line.replace("2026", "1999") for line in lines]
    with pytest.raises(InvalidBacktest, match="XNYS"):
        run_steps(old, step, **settings)


def test_warm_up_hides_the_first_bars_but_their_history_is_there():
    class Warm(Scripted):
        warm_up_bars = 3

    calls = []
    strategy = Warm({0: lambda context, _: calls.append([bar.close for bar in context.history("AAPL", 9)])})
    run_backtest(strategy, BARS, size=2)
    assert calls == [[10, 11, 12]]
    assert strategy.bars == 3


def test_symbols_of_one_start_are_known_together():
    lines = [
        build_line(0, "1/1/1/1"),
        build_line(0, "2/2/2/2", "MSFT"),
        build_line(1, "3/3/3/3"),
        build_line(1, "4/4/4/4", "MSFT"),
    ]
    calls = []

    def note(context, bar):
        calls.append((bar.symbol, context.price("AAPL"), context.price("MSFT"), context.now.minute))
        if bar.symbol == "AAPL":
            context.order("MSFT", Side.BUY, 1)

    strategy = run_steps(lines, dict.fromkeys(range(4), note))
    assert calls == [("AAPL", 1, 2, 1), ("MSFT", 1, 2, 1), ("AAPL", 3, 4, 2), ("MSFT", 3, 4, 2)]
    assert format_fills(strategy.fills) == ["O1 BUY 1 @ 4"]


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.integers(20, 110), st.integers(0, 10**6))
def test_future_cannot_change_the_past(seed, cut, other):
    lines = build_random_walk(seed)
    changed = lines[:cut] + [build_line(cut + number, "500/900/1/7") for number in range(other % 10)]
    fills = [_trade(source, cut, other) for source in (lines, changed)]
    assert fills[0] == fills[1]


def _trade(lines, cut, seed):
    strategy = Scripted({})
    strategy.__class__ = type("Both", (RandomTrader, Scripted), {})
    strategy.on_fill = Scripted.on_fill.__get__(strategy)  # type: ignore[method-assign]
    run_backtest(strategy, lines, seed=seed)
    return [fill for fill in strategy.fills if fill.at < START + timedelta(minutes=cut)]


@settings(max_examples=6)
@given(st.integers(0, 10**6), st.integers(1, 50))
def test_result_does_not_depend_on_the_size_of_blocks(seed, size):
    lines = build_random_walk(seed)
    assert (
        run_backtest(RandomTrader(), lines, size=size).result_hash
        == run_backtest(RandomTrader(), lines).result_hash
    )


@pytest.mark.parametrize("seed", range(3))
def test_equity_results_from_fills_only(tmp_path, seed):
    lines = build_random_walk(seed)
    run_backtest(RandomTrader(), lines, tmp_path, costs=parse_costs("flat:1.25"), cash=Decimal(50_000))
    closes = {cells[1]: Decimal(cells[5]) for cells in (line.split(",") for line in lines)}
    fills = read_rows(tmp_path / "fills.csv")
    assert len(fills) > 5
    points = read_rows(tmp_path / "equity.csv")
    for point, start in zip(points[1:], sorted(closes), strict=True):
        cash, held_quantity = Decimal(50_000), Decimal(0)
        for fill in fills:
            if fill["at"] < point["at"]:
                sign = 1 if fill["side"] == "BUY" else -1
                cash -= sign * to_decimal(fill["quantity"]) * to_decimal(fill["price"]) + to_decimal(
                    fill["charges"]
                )
                held_quantity += sign * to_decimal(fill["quantity"])
        assert to_decimal(point["equity"]) == cash + held_quantity * closes[start]
    orders = read_rows(tmp_path / "orders.csv")
    assert {row["order_id"] for row in fills} <= {order["order_id"] for order in orders}


def _divide(context, bar):
    return bar.raw_close / 0


def test_failing_strategy_is_named_with_its_callback():
    with pytest.raises(StrategyFailed, match="on_bar: ZeroDivisionError"):
        run_steps(BARS, {0: _divide})

    class Loop(Strategy):
        @override
        def on_bar(self, context, bar):
            context.order(bar.symbol, Side.BUY, 1)

        @override
        def on_order(self, context, order):
            context.order(order.symbol, Side.BUY, 1)

    with pytest.raises(StrategyFailed, match="events at one instant"):
        run_backtest(Loop(), BARS, has_risk_checks=False)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (buy_units(1.5), "quantity must be a Decimal"),
        (buy_units(0), "quantity: Must be positive"),
        (buy_units(type=OrderType.LIMIT), "limit_price: A LIMIT order needs limit_price"),
        (lambda context, _: context.order("MSFT", Side.BUY, 1), "'MSFT' is not one of the symbols AAPL"),
        (lambda context, _: context.indicator(Highest(3)), "Declare indicators in on_start"),
        (lambda context, _: context.replace("O9", quantity=1), "Order O9 is not open"),
    ],
)
def test_impossible_request_is_an_error_of_the_strategy(step, problem):
    with pytest.raises(StrategyFailed, match=problem):
        run_steps(BARS, {0: step})


def test_backtest_requires_bars():
    with pytest.raises(InvalidBacktest, match="There are no bars"):
        run_backtest(MovingAverageCross(), [])
