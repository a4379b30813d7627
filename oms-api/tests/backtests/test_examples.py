"""The examples do what their documentation says."""

from decimal import Decimal

import pytest

from app.backtests.errors import StrategyFailed
from slackoms_strategy.examples.breakout import Breakout
from slackoms_strategy.examples.moving_average_cross import MovingAverageCross
from slackoms_strategy.examples.pairs import Pairs
from slackoms_strategy.examples.rebalance import Rebalance
from tests.backtests.bars import build_line, build_lines_of_closes
from tests.backtests.support import read_rows, run_backtest

RISE_AND_FALL = ["10", "9", "8", "9", "11", "13", "15", "13", "10", "8", "7"]


def _list_fills(folder):
    return [
        (row["symbol"], row["side"], row["quantity"], row["price"]) for row in read_rows(folder / "fills.csv")
    ]


def _interleave(first, second):
    pairs = zip(build_lines_of_closes(first, "AAA"), build_lines_of_closes(second, "BBB"), strict=True)
    return [bar for bar_group in pairs for bar in bar_group]


def test_moving_average_cross_buys_the_rise_and_sells_the_fall(tmp_path):
    run_backtest(
        MovingAverageCross(fast=2, slow=3, quantity=5), build_lines_of_closes(RISE_AND_FALL), tmp_path
    )
    assert _list_fills(tmp_path) == [("AAPL", "BUY", "5", "13"), ("AAPL", "SELL", "5", "8")]


def test_breakout_buys_a_new_high_and_sells_at_its_trailing_stop(tmp_path):
    lines = [
        build_line(0, "10/10/10/10"), build_line(1, "10/10/10/10"),
        build_line(2, "10/12/10/12"), build_line(3, "12/20/12/20"),
        build_line(4, "20/21/20/20"), build_line(5, "20/20/17/18"),
    ]  # fmt: skip
    run_backtest(Breakout(length=2, trail_percent=10, quantity=5), lines, tmp_path)
    assert _list_fills(tmp_path) == [("AAPL", "BUY", "5", "12"), ("AAPL", "SELL", "5", "18.9")]


def test_pairs_sells_the_dearer_and_closes_at_the_mean(tmp_path):
    first = ["10", "10.1", "9.9", "10", "10.1", "14", "14", "10", "10", "10"]
    lines = _interleave(first, ["10"] * len(first))
    run_backtest(Pairs(length=5, entry="1.5", exit="1", value=100), lines, tmp_path)
    fills = _list_fills(tmp_path)
    assert fills[:2] == [("AAA", "SELL", "7", "14"), ("BBB", "BUY", "10", "10")]
    assert [fill[:3] for fill in fills[2:]] == [("AAA", "BUY", "7"), ("BBB", "SELL", "10")]
    with pytest.raises(StrategyFailed, match="Pairs needs two symbols"):
        run_backtest(Pairs(), build_lines_of_closes(first))


def test_rebalance_keeps_the_weights(tmp_path):
    lines = _interleave(["10", "10", "10", "20", "20", "20"], ["10"] * 6)
    strategy = Rebalance(weights="AAA=60,BBB=40", every=3, invested=100)
    result = run_backtest(strategy, lines, tmp_path, cash=Decimal(1_000))
    quantities = {key.symbol: int(position.quantity) for key, position in result.account.positions.items()}
    assert quantities == {"AAA": 48, "BBB": 64}
    assert _list_fills(tmp_path)[2:] == [("AAA", "SELL", "12", "20"), ("BBB", "BUY", "24", "10")]
    assert Rebalance().invested == 95
