"""Strategies that tests run."""

from decimal import Decimal

from typing_extensions import override

from slackoms_strategy import IntegerParameter, OrderType, Side, Strategy

SIZE = 1  # units of each order


class Counter(Strategy):
    """Buys one unit at each bar, and counts bars and fills in its state."""

    limit = IntegerParameter(100, "Bars after which it raises.", minimum=1, maximum=100)

    @override
    def on_start(self, context):
        context.state.setdefault("bars", 0)
        context.state.setdefault("fills", 0)

    @override
    def on_bar(self, context, bar):
        context.state["bars"] += 1
        if context.state["bars"] > self.limit:
            raise ValueError("no more bars")
        context.order(bar.symbol, Side.BUY, SIZE)

    @override
    def on_fill(self, context, fill):
        context.state["fills"] += 1

    @override
    def on_stop(self, context):
        context.state["stopped"] = True


class Replacer(Counter):
    """Places a limit order at the first bar, and replaces it at each later one."""

    @override
    def on_bar(self, context, bar):
        if not (orders := context.list_open_orders()):
            order = context.order(bar.symbol, Side.BUY, SIZE, type=OrderType.LIMIT, limit_price=50)
        else:
            order = context.replace(orders[0].id, limit_price=orders[0].limit_price + 1)
        context.state["last"] = order.id


class Reverser(Strategy):
    """Buys when the close rises, and sells what it holds when the close falls."""

    @override
    def on_bar(self, context, bar):
        quantity, previous = context.position(bar.symbol).quantity, context.state.get("close", str(bar.close))
        context.state["close"] = str(bar.close)
        if bar.close > Decimal(previous) and not quantity:
            context.order(bar.symbol, Side.BUY, 5)
        elif bar.close < Decimal(previous) and quantity:
            context.order(bar.symbol, Side.SELL, quantity)
