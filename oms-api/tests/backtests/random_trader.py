"""A strategy that uses every kind of order. It imports its interface alone, so that it runs anywhere."""

# mypy: disable-error-code="explicit-override"

from decimal import Decimal

from slackoms_strategy import Context, Fill, Highest, IntegerParameter, OrderType, Side, Strategy, TimeInForce


class RandomTrader(Strategy):
    """Trades at random, and changes its mind."""

    quantity = IntegerParameter(5, "Units of an order.", minimum=1)

    def on_start(self, context: Context) -> None:
        """Declare indicators, and order before the first bar."""
        for symbol in context.symbols:
            context.indicator(Highest(3), symbol)
        context.order(context.symbols[0], Side.BUY, 1)

    def on_bar(self, context, bar):
        """Do one of some things."""
        draw = context.random
        side = draw.choice(list(Side))
        price = (
            max(context.history(bar.symbol, 3)[0].close, Decimal(1)) + Decimal(draw.randint(-50, 50)) / 100
        )
        orders = context.list_open_orders()
        match draw.randint(0, 9):
            case 0 | 1:
                context.order(bar.symbol, side, self.quantity, reason="chance, or luck")
            case 2:
                context.order(bar.symbol, side, 5, type=OrderType.LIMIT, limit_price=price)
            case 3:
                context.order(
                    bar.symbol, side, 5, type=OrderType.STOP, stop_price=price, time_in_force=TimeInForce.GTC
                )
            case 4:
                context.order(bar.symbol, side, 5, type=OrderType.TRAILING_STOP, trail_percent=1)
            case 5:
                exits = {"stop_loss": bar.close - 2, "take_profit": bar.close + 1}
                context.order(bar.symbol, Side.BUY, 10, **exits)
            case 6 if orders:
                context.cancel(draw.choice(orders).id)
            case 7 if orders:
                order = draw.choice(orders)
                context.replace(order.id, quantity=order.quantity + 1)

    def on_fill(self, context: Context, fill: Fill) -> None:
        """Answer some fills with an order."""
        if context.random.random() < 0.1:
            context.order(fill.symbol, fill.side.opposite, fill.quantity)

    def on_stop(self, context: Context) -> None:
        """Order after the last bar."""
        context.order(context.symbols[0], Side.BUY, 1)
