"""Pairs: trades the ratio of two prices back to its mean."""

from collections import deque
from decimal import Decimal
from statistics import fmean, stdev

from slackoms_strategy import Bar, Context, DecimalParameter, IntegerParameter, Side, Strategy


class Pairs(Strategy):
    """Sells the dearer and buys the cheaper of two symbols when their ratio is far from its mean.

    The first two symbols, in alphabetical order, are the pair. Positions are closed near the mean.
    """

    length = IntegerParameter(60, "Bars of the mean of the ratio.", minimum=5, maximum=5000)
    entry = DecimalParameter(2, "Standard deviations from the mean to open at.", minimum="0.1", maximum=10)
    exit = DecimalParameter("0.5", "Standard deviations from the mean to close at.", minimum=0, maximum=10)
    value = DecimalParameter(10_000, "Value of each side of the pair.", minimum=1)

    def on_start(self, context: Context) -> None:
        """Check that there are two symbols."""
        if len(context.symbols) != 2:
            raise ValueError("Pairs needs two symbols.")
        self.first, self.second = context.symbols
        self.ratios: deque[float] = deque(maxlen=self.length)

    def on_bar(self, context: Context, bar: Bar) -> None:
        """Compare the ratio with its mean, once for each start at which the second symbol has a bar."""
        prices = context.price(self.first), context.price(self.second)
        if bar.symbol != self.second or prices[0] is None or prices[1] is None:
            return
        self.ratios.append(float(prices[0] / prices[1]))
        if len(self.ratios) < self.length or not (deviation := stdev(self.ratios)):
            return
        score = (self.ratios[-1] - fmean(self.ratios)) / deviation
        self._trade_pair(context, score, prices[0], prices[1])

    def _trade_pair(self, context: Context, score: float, first: Decimal, second: Decimal) -> None:
        quantity = context.position(self.first).quantity
        if context.list_open_orders():
            return
        if not quantity and abs(score) >= self.entry:
            side = Side.SELL if score > 0 else Side.BUY
            context.order(self.first, side, max(self.value // first, Decimal(1)))
            context.order(self.second, side.opposite, max(self.value // second, Decimal(1)))
        elif quantity and abs(score) <= self.exit:
            for symbol in context.symbols:
                self._close_position(context, symbol)

    def _close_position(self, context: Context, symbol: str) -> None:
        quantity = context.position(symbol).quantity
        if quantity:
            context.order(symbol, Side.SELL if quantity > 0 else Side.BUY, abs(quantity))
