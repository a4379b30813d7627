"""Nothing that a strategy can read depends on bars that have not ended yet."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from slackoms_strategy import (
    AverageTrueRange,
    BarColumns,
    Cross,
    ExponentialMovingAverage,
    Highest,
    Indicator,
    Lowest,
    PriceIndicator,
    SimpleMovingAverage,
    StandardDeviation,
    Strategy,
)
from slackoms_strategy.indicators import takes_blocks
from tests.backtests.bars import build_line
from tests.backtests.support import run_backtest

COUNT = 60


class Peek(Indicator):
    """Keeps all bars that it gets, and returns the last close among them."""

    def __init__(self):
        self.closes = []

    @override
    def extend(self, columns: BarColumns):
        self.closes += [close / 10**columns.places for close in columns.closes]
        return [self.closes[-1]] * len(columns.closes)


class PeekPrice(PriceIndicator):
    """Returns the highest price of all bars that it gets."""

    def __init__(self):
        self.highs = []

    @override
    def extend(self, columns: BarColumns):
        self.highs += columns.highs
        return [max(self.highs)] * len(columns.highs)


class PeekMean(SimpleMovingAverage):
    """Returns the last of the given closes."""

    @override
    def extend(self, columns: BarColumns):
        return [float(columns.closes[-1])] * len(columns.closes)


class Reader(Strategy):
    """Notes at each bar everything that it can read by the interface."""

    def __init__(self):
        super().__init__()
        self.observations = []

    @override
    def on_start(self, context):
        peek = Peek()
        self.peek = peek
        makers = [
            lambda: peek, PeekPrice, lambda: PeekMean(3), lambda: Cross(Peek(), SimpleMovingAverage(3)),
            lambda: SimpleMovingAverage(3), lambda: ExponentialMovingAverage(3), lambda: StandardDeviation(3),
            lambda: AverageTrueRange(3), lambda: Highest(3), lambda: Lowest(3, delay=1),
            lambda: Cross(SimpleMovingAverage(2), SimpleMovingAverage(5)),
        ]  # fmt: skip
        self.series = [context.indicator(make(), context.symbols[0]) for make in makers]

    @override
    def on_bar(self, context, bar):
        values = [repr(value.value) for value in self.series]
        histories = [context.history(symbol, COUNT) for symbol in context.symbols]
        prices = [context.price(symbol) for symbol in context.symbols]
        self.observations.append(
            (context.now, tuple(bar), bar.close, values, histories, prices, tuple(self.peek.closes))
        )


def list_lines(symbols, seed, shuffled_from=None, shuffle=0):
    draw = Random(seed)
    rows = []
    for _ in range(COUNT):
        low = draw.randint(100, 200)
        rows.append([f"{(low + extra) / 100:.2f}" for extra in (1, 9, 0, draw.randint(0, 9))])
    if shuffled_from is not None:
        future = rows[shuffled_from:]
        Random(shuffle).shuffle(future)
        rows = rows[:shuffled_from] + future
    return [
        build_line(minute, "/".join(prices), symbol)
        for minute, prices in enumerate(rows)
        for symbol in symbols
    ]


@pytest.mark.parametrize("symbols", [["AAPL"], ["AAPL", "MSFT"]])
@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, COUNT - 3), st.integers(0, 10**6), st.integers(3, 200))
def test_shuffled_future_is_not_seen(symbols, seed, cut, shuffle, size):
    calls = []
    for lines in (list_lines(symbols, seed), list_lines(symbols, seed, cut, shuffle)):
        reader = Reader()
        run_backtest(reader, lines, size=size * len(symbols))
        calls.append(reader.observations)
    first_bar = COUNT - len(calls[0]) // len(symbols)
    past = (cut - first_bar) * len(symbols)
    assert calls[0][:past] == calls[1][:past]
    assert len(calls[0]) > past > 0


def test_bar_holds_no_other_bars():
    reader = Reader()
    run_backtest(reader, list_lines(["AAPL"], 1))
    assert all(type(value) in {int, str} for value in reader.observations[0][1])


def test_own_indicators_take_blocks_and_others_one_bar():
    assert takes_blocks(Cross(SimpleMovingAverage(2), ExponentialMovingAverage(5)))
    assert not takes_blocks(Cross(SimpleMovingAverage(2), Peek()))
    assert not takes_blocks(PeekMean(2))
    assert not takes_blocks(PeekPrice())


def test_own_indicator_has_the_value_of_each_bar():
    reader = Reader()
    run_backtest(reader, list_lines(["AAPL"], 3), size=7)
    for _, _, close, values, *_ in reader.observations:
        assert Decimal(values[0]) == close
