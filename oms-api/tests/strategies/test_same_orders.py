"""A strategy has the same orders and fills in a backtest, on paper, at a broker, and in a replay."""

from decimal import Decimal

import pytest

from app.sandbox.service.policy import SandboxPolicy
from tests.backtests.bars import build_lines_of_closes
from tests.backtests.support import read_rows, run_backtest
from tests.brokers.standins.alpaca.server import StandIn
from tests.strategies.conftest import get_loop
from tests.strategies.examples import Reverser
from tests.strategies.support import build_bar_input, compare_with_replay, create_strategy_setup
from tests.support.alpaca_portfolio import trading_at_alpaca
from tests.support.conditions import wait_until

CODE = "tests.strategies.examples:Reverser"
CLOSES = ["100", "101.5", "102", "100.25", "99", "103", "104", "103.5", "103"]
TRUSTED = SandboxPolicy(is_on=False)


def backtest_strategy(folder):
    run_backtest(Reverser(), build_lines_of_closes(CLOSES), folder)
    return [
        (fill["side"], Decimal(fill["quantity"]), Decimal(fill["price"]))
        for fill in read_rows(folder / "fills.csv")
    ]


def run_strategy_host(stage, quote):
    """Deliver the bars, each after a quote at the open of the next one, and return the fills."""
    session = stage.start()
    for number, close in enumerate(CLOSES[:-1]):
        quote(CLOSES[number + 1])
        session.deliver([build_bar_input(number, close)])
        wait_until(lambda: all(order["status"] == "FILLED" for order in stage.orders))
        while session.run_step():  # the fill of the order, and its status
            pass
    return [
        (order["side"], Decimal(order["quantity"]), Decimal(order["average_price"]))
        for order in reversed(stage.orders)
    ]


@pytest.mark.any_database
def test_paper_and_a_replay_equal_a_backtest(api, loop, tmp_path):
    stage = create_strategy_setup(api, loop, TRUSTED, CODE, name="reverser")
    fills = run_strategy_host(stage, lambda price: api.set_quote("AAPL", price, price, price))
    assert fills == backtest_strategy(tmp_path)
    assert len(fills) == 4
    report = compare_with_replay(stage)
    assert (report.orders, report.fills, report.differences) == (4, 4, [])


@pytest.mark.any_database
def test_a_broker_and_a_replay_equal_a_backtest(serve, tmp_path):
    with StandIn() as standin, trading_at_alpaca(serve, standin) as api:

        def quote(price):
            standin.exchange.quote("AAPL", price, price)
            api.set_quote("AAPL", price, price, price)

        quote("100")
        stage = create_strategy_setup(api, get_loop(api.service), TRUSTED, CODE, name="reverser")
        assert run_strategy_host(stage, quote) == backtest_strategy(tmp_path)
        report = compare_with_replay(stage)
        assert (report.orders, report.fills, report.differences) == (4, 4, [])
