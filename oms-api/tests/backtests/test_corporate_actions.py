"""Splits and dividends change positions, cash and open orders of a backtest as in the service."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from app.backtest import CANNOT, DONE, main
from app.backtests.errors import InvalidBacktest
from app.backtests.rules.settings import InstrumentTerms
from app.ledger.rules.corporate_actions import ActionKind
from app.market_data.rules.bars import Interval
from app.timestamps import format_timestamp
from slackoms_strategy import OrderStatus, OrderType, Side, TimeInForce
from tests.backtests.bars import HEADER, START, build_line, join_lines
from tests.backtests.corporate_actions import build_dividend, build_split
from tests.backtests.order_steps import buy_units, sell_units
from tests.backtests.support import Scripted, format_fills, read_rows, run_backtest, to_decimal

FLAT_BARS = [
    build_line(minute, f"{price}/{price}/{price}/{price}")
    for minute, price in enumerate([100] * 4 + [50] * 4)
]


def run_steps_with_actions(steps, actions, lines=None, folder=None, **settings):
    strategy = Scripted(steps)
    finished = run_backtest(strategy, lines or FLAT_BARS, folder, actions=tuple(actions), **settings)
    return strategy, finished


def test_split_multiplies_the_position_and_keeps_its_cost_and_the_equity():
    prices = []

    def note(context, bar):
        prices.append((context.position("AAPL"), context.equity))

    _, finished = run_steps_with_actions(
        {0: buy_units(10), 3: note, 4: note, 5: sell_units(20)}, [build_split(4)]
    )
    assert [(position.quantity, position.cost) for position, _ in prices] == [(10, 1_000), (20, 1_000)]
    assert {equity for _, equity in prices} == {1_000_000}
    assert (finished.account.cash, finished.account.realized_pnl) == (1_000_000, 0)


def test_dividend_is_paid_on_the_units_before_a_split_of_that_instant():
    _, finished = run_steps_with_actions(
        {0: buy_units(10)}, [build_split(4), build_dividend(4, "1.5", Decimal(20))]
    )
    assert finished.account.movements == {"dividend": Decimal(15), "withholding": Decimal(-3)}
    assert finished.account.cash == 1_000_000 - 1_000 + 12
    _, before = run_steps_with_actions({4: buy_units(10)}, [build_dividend(4)])
    assert not before.account.movements


def test_short_position_pays_the_dividend_without_withholding():
    _, finished = run_steps_with_actions({0: sell_units(10)}, [build_dividend(4, "1.5", Decimal(20))])
    assert finished.account.movements == {"dividend": Decimal(-15)}


def test_fraction_is_paid_in_cash():
    _, finished = run_steps_with_actions({0: buy_units(5)}, [build_split(4, "3", "2")])
    assert [position.quantity for position in finished.account.positions.values()] == [7]
    assert finished.account.movements["cash_in_lieu"] == Decimal("33.33333333")  # 0.5 of 7.5 units of 500
    _, priced = run_steps_with_actions({0: buy_units(5)}, [build_split(4, "3", "2", Decimal(60))])
    assert (priced.account.movements["cash_in_lieu"], priced.account.realized_pnl) == (
        Decimal(30), Decimal("-3.33333333"),
    )  # fmt: skip


def test_open_orders_are_restated_and_match_at_the_new_prices():
    fields = {"type": OrderType.LIMIT, "limit_price": 99, "time_in_force": TimeInForce.GTC}
    exits = {"take_profit": 120, "stop_loss": 90}
    strategy, _ = run_steps_with_actions({0: buy_units(10, **fields, **exits)}, [build_split(4)])
    restated = strategy.orders[1]
    assert (restated.quantity, restated.limit_price, restated.status) == (
        20, Decimal("49.5"), OrderStatus.ACCEPTED,
    )  # fmt: skip
    lines = [
        *FLAT_BARS[:4],
        build_line(4, "50/50/50/50"),
        build_line(5, "49/49/49/49"),
        build_line(6, "61/61/61/61"),
    ]
    filled, _ = run_steps_with_actions({0: buy_units(10, **fields, **exits)}, [build_split(4)], lines)
    assert format_fills(filled.fills) == ["O1 BUY 20 @ 49", "O2 SELL 20 @ 61"]


def test_exits_of_a_position_are_restated_and_a_stop_does_not_fire_on_the_split():
    strategy, finished = run_steps_with_actions({0: buy_units(10, stop_loss=90)}, [build_split(4)])
    assert format_fills(strategy.fills) == ["O1 BUY 10 @ 100"]
    assert strategy.orders[-1].stop_price == 45
    trailing, _ = run_steps_with_actions(
        {0: buy_units(10), 1: sell_units(10, type=OrderType.TRAILING_STOP, trail_amount=8)}, [build_split(4)],
        [*FLAT_BARS[:6], build_line(6, "45/45/45/45")],
    )  # fmt: skip
    assert trailing.orders[-1].trail_amount == 4
    assert format_fills(trailing.fills)[1] == "O2 SELL 20 @ 45"
    assert finished.denied == 0


def test_order_of_less_than_a_lot_is_canceled():
    fields = {"type": OrderType.LIMIT, "limit_price": 1}
    strategy, _ = run_steps_with_actions(
        {0: buy_units(9, **fields)},
        [build_split(4, "1", "10")],
        instruments=InstrumentTerms(lot_size=Decimal(1)),
    )
    assert strategy.orders[-1].reason == "A split leaves less than one lot."


def test_position_of_a_symbol_without_a_new_bar_is_valued_at_the_restated_price():
    lines = [
        build_line(0, "100/100/100/100"),
        build_line(0, "1/1/1/1", "MSFT"),
        build_line(1, "100/100/100/100"),
    ]
    lines += [build_line(minute, "1/1/1/1", "MSFT") for minute in (1, 2, 3)]
    calls = []
    steps = {0: lambda context, _: context.order("AAPL", Side.BUY, 10)}
    steps |= dict.fromkeys(
        range(4, 7), lambda context, _: calls.append((context.price("AAPL"), context.equity))
    )
    run_steps_with_actions(steps, [build_split(2), build_split(2)], lines)
    assert calls == [(25, 1_000_000)] * 2


def test_bars_of_a_day_take_the_action_on_its_date():
    lines = [
        build_line(day * 1440, f"{price}/{price}/{price}/{price}")
        for day, price in enumerate([100, 100, 50, 50])
    ]
    late = build_split(2 * 1440)._replace(effective_at=format_timestamp(START + timedelta(days=2, hours=5)))
    calls = []
    steps = {0: buy_units(10), 2: lambda context, _: calls.append(context.position("AAPL").quantity)}
    run_steps_with_actions(steps, [late], lines, interval=Interval.DAY)
    assert calls == [20]


def test_symbol_change_in_the_period_is_an_error():
    change = build_split(4)._replace(kind=ActionKind.SYMBOL_CHANGE, new_symbol="META")
    with pytest.raises(InvalidBacktest, match="AAPL becomes META on 2026-01-05: end the backtest"):
        run_steps_with_actions({0: buy_units(10)}, [change])


def test_equity_follows_from_fills_actions_and_movements(tmp_path):
    prices = [100, 101, 102, 104, 52, 53, 51, 50]
    lines = [build_line(minute, f"{price}/{price}/{price}/{price}") for minute, price in enumerate(prices)]
    steps = {0: buy_units(10), 1: sell_units(25), 5: buy_units(100), 6: sell_units(11)}
    run_steps_with_actions(steps, [build_dividend(3, "0.7"), build_split(4)], lines, tmp_path)
    fills, movements = read_rows(tmp_path / "fills.csv"), read_rows(tmp_path / "cash.csv")
    assert (len(fills), len(movements)) == (4, 1)
    split_at = (START + timedelta(minutes=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for point, price in zip(read_rows(tmp_path / "equity.csv")[1:], prices, strict=True):
        cash, quantity, is_split = Decimal(1_000_000), Decimal(0), False
        for fill in fills:
            if fill["at"] >= point["at"]:
                continue
            if fill["at"] >= split_at and not is_split:
                quantity, is_split = quantity * 2, True
            sign = 1 if fill["side"] == "BUY" else -1
            cash -= sign * to_decimal(fill["quantity"]) * to_decimal(fill["price"])
            quantity += sign * to_decimal(fill["quantity"])
        if point["at"] > split_at and not is_split:
            quantity *= 2
        cash += sum(to_decimal(movement["amount"]) for movement in movements if movement["at"] < point["at"])
        assert to_decimal(point["equity"]) == cash + quantity * price


def test_command_reads_actions_from_a_file(capsys, tmp_path):
    bars_file, actions = tmp_path / "bars.csv", tmp_path / "actions.csv"
    lines = [build_line(day * 1440, "100/100/100/100") for day in range(40)]
    bars_file.write_text(join_lines([HEADER, *lines]), encoding="utf-8")
    actions.write_text(
        "symbol,ex_date,kind,new_units,old_units,amount\nAAPL,2026-02-01,dividend,,,0.5\n", encoding="utf-8"
    )
    name = "slackoms_strategy.examples.rebalance:Rebalance"
    parameters = ["--param", "weights=AAPL=50", "--param", "every=5"]
    arguments = [name, "--data", str(bars_file), "--interval", "1d", *parameters]
    out = tmp_path / "out"
    assert main([*arguments, "--actions", str(actions), "--out", str(out), "--gaps", "allow"]) == DONE
    statistics = json.loads((out / "statistics.json").read_text(encoding="utf-8"))["statistics"]
    quantity = sum(
        to_decimal(row["quantity"]) for row in read_rows(out / "fills.csv") if row["at"] < "2026-02-01"
    )
    assert to_decimal(statistics["dividend"]) == quantity / 2 > 0
    assert [row["kind"] for row in read_rows(out / "cash.csv")] == ["dividend"]
    actions.write_text("symbol,ex_date,kind\nAAPL,2026-02-01,merger\n", encoding="utf-8")
    assert main([*arguments, "--actions", str(actions)]) == CANNOT
    assert "line 2: `kind` must be one of split, dividend" in capsys.readouterr().err
