"""A strategy for benchmarks. It imports only what a sandbox has."""

from slackoms_strategy import Bar, Context, Side, Strategy


class EveryBar(Strategy):
    """Buys one unit at each bar."""

    def on_bar(self, context: Context, bar: Bar) -> None:
        context.order(bar.symbol, Side.BUY, 1)
