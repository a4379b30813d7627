"""Rebalance: keeps fixed weights of several symbols."""

from decimal import ROUND_DOWN, Decimal

from slackoms_strategy import Bar, Context, DecimalParameter, IntegerParameter, Side, Strategy, TextParameter


class Rebalance(Strategy):
    """Trades every few bars to the target weights. Sales come a bar before the buys that they pay for."""

    weights = TextParameter("", "Weights in percent such as `AAPL=60,MSFT=30`; empty for equal ones.")
    every = IntegerParameter(20, "Bars from one rebalancing to the next.", minimum=2, maximum=100_000)
    invested = DecimalParameter(95, "Percent of the equity to invest in all.", minimum=1, maximum=100)

    def on_start(self, context: Context) -> None:
        """Read the weights, and restore the count of bars."""
        self.targets = self._parse_weights(context)
        context.state.setdefault("bars", 0)

    def on_bar(self, context: Context, bar: Bar) -> None:
        """Count the bars of the last symbol. Sell when it is due, and buy one bar later with the proceeds."""
        if bar.symbol != context.symbols[-1]:
            return
        phase = context.state["bars"] % self.every
        if phase in {0, 1}:
            self._place_orders(context, Side.BUY if phase else Side.SELL)
        context.state["bars"] += 1

    def _place_orders(self, context: Context, side: Side) -> None:
        """Place the orders of one side that lead to the weights."""
        equity = context.equity * self.invested / 100
        for symbol, weight in self.targets.items():
            price = context.price(symbol)
            if price is None:
                continue
            target = (equity * weight / price).to_integral_value(ROUND_DOWN)
            quantity = side.sign * (target - context.position(symbol).quantity)
            if quantity > 0:
                context.order(symbol, side, quantity)

    def _parse_weights(self, context: Context) -> dict[str, Decimal]:
        if not self.weights:
            return dict.fromkeys(context.symbols, Decimal(1) / len(context.symbols))
        pairs = (item.split("=") for item in self.weights.split(","))
        return {symbol.strip(): Decimal(percent) / 100 for symbol, percent in pairs}
