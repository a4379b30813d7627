"""Moving-average cross: long while the fast average is above the slow one."""

from slackoms_strategy import (
    Bar,
    Context,
    Cross,
    DecimalParameter,
    IntegerParameter,
    Side,
    SimpleMovingAverage,
    Strategy,
)


class MovingAverageCross(Strategy):
    """Buys when the fast average rises above the slow one, and sells when it falls below."""

    fast = IntegerParameter(10, "Bars of the fast average.", minimum=1, maximum=1000)
    slow = IntegerParameter(30, "Bars of the slow average.", minimum=2, maximum=5000)
    quantity = DecimalParameter(100, "Units of each order.", minimum="0.00000001")

    def on_start(self, context: Context) -> None:
        """Declare one cross for each symbol."""
        self.crosses = {
            symbol: context.indicator(
                Cross(SimpleMovingAverage(self.fast), SimpleMovingAverage(self.slow)), symbol
            )
            for symbol in context.symbols
        }

    def on_bar(self, context: Context, bar: Bar) -> None:
        """Buy or sell at a cross."""
        symbol = bar.symbol
        cross = self.crosses[symbol].value
        if not cross:
            return
        quantity = context.position(symbol).quantity
        if cross > 0 and not quantity:
            context.order(symbol, Side.BUY, self.quantity)
        elif cross < 0 and quantity:
            context.order(symbol, Side.SELL, quantity)
