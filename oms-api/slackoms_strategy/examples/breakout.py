"""Breakout: buys a new high, and follows the price with a trailing stop."""

from decimal import Decimal

from slackoms_strategy import (
    Bar,
    Context,
    DecimalParameter,
    Fill,
    Highest,
    IntegerParameter,
    OrderType,
    Side,
    Strategy,
    TimeInForce,
)


class Breakout(Strategy):
    """Buys a close above the highest price of the bars before, and sells at a trailing stop."""

    length = IntegerParameter(20, "Bars whose highest price the close must exceed.", minimum=1, maximum=5000)
    trail_percent = DecimalParameter(2, "Distance of the stop in percent.", minimum="0.01", maximum=50)
    quantity = DecimalParameter(100, "Units of each order.", minimum="0.00000001")

    def on_start(self, context: Context) -> None:
        """Declare the highest price of the bars before the last one."""
        self.highs = {
            symbol: context.indicator(Highest(self.length, delay=1), symbol) for symbol in context.symbols
        }

    def on_bar(self, context: Context, bar: Bar) -> None:
        """Buy at a new high, unless something is held or ordered."""
        symbol = bar.symbol
        high = self.highs[symbol].value
        if high is None or bar.close <= high:
            return
        if not context.position(symbol).quantity and not context.list_open_orders(symbol):
            context.order(symbol, Side.BUY, self.quantity, reason="breakout")

    def on_fill(self, context: Context, fill: Fill) -> None:
        """Protect the position with a trailing stop that stays valid after the day."""
        if fill.side is Side.BUY:
            percent: Decimal = self.trail_percent
            context.order(
                fill.symbol,
                Side.SELL,
                fill.quantity,
                type=OrderType.TRAILING_STOP,
                trail_percent=percent,
                time_in_force=TimeInForce.GTC,
            )
