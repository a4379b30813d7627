"""For random actions of a strategy, exits never exceed the position that they protect."""

from datetime import timedelta
from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from app.backtests.rules.settings import InstrumentTerms, parse_costs
from app.brokers.rules.settings import PaperSettings, Slippage
from slackoms_strategy import OrderType, Side, Strategy, TimeInForce
from tests.backtests.bars import build_line
from tests.backtests.support import run_backtest

TIMES = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)


class Restless(Strategy):
    """Places brackets and other orders, replaces and cancels at random, and checks the exits at each bar."""

    @override
    def on_bar(self, context, bar):
        draw, symbol = context.random, bar.symbol
        side, quantity = draw.choice(list(Side)), draw.randint(1, 30)
        price = max(bar.close + Decimal(draw.randint(-60, 60)) / 100, Decimal("0.01"))
        orders = context.list_open_orders()
        match draw.randint(0, 8):
            case 0 | 1:
                context.order(symbol, side, quantity, time_in_force=draw.choice(TIMES))
            case 2:
                context.order(symbol, side, quantity, type=OrderType.LIMIT, limit_price=price)
            case 3:
                prices = {"limit_price": price, "stop_price": price}
                context.order(symbol, side, quantity, type=OrderType.STOP_LIMIT, **prices)
            case 4 | 5:
                exits = {"take_profit": bar.close + side.sign, "stop_loss": bar.close - side.sign}
                context.order(symbol, side, quantity, **exits)
            case 6 if orders:
                context.cancel(draw.choice(orders).id)
            case 7 if orders:
                order = draw.choice(orders)
                change = {"limit_price": price} if order.limit_price else {"quantity": 30}
                context.replace(order.id, **change)
            case _:
                pass
        self._check_exits(context)

    @staticmethod
    def _check_exits(context):
        for symbol in context.symbols:
            quantity = context.position(symbol).quantity
            groups: dict[str, Decimal] = {}
            for order in context.list_open_orders(symbol):
                if order.parent_id is not None:
                    assert order.side.sign * quantity < 0
                    largest = max(groups.get(order.parent_id, Decimal(0)), order.leaves_quantity)
                    groups[order.parent_id] = largest
            assert sum(groups.values()) <= abs(quantity)


def _walk(seed, symbol):
    draw, price = Random(seed), 10_000
    for minute in range(100):
        path = [price := max(price + draw.randint(-50, 50), 5_000) for _ in range(4)]
        prices = (path[0], max(path), min(path), path[-1])
        text = "/".join(f"{cents / 100:.2f}" for cents in prices)
        yield minute, symbol, build_line(minute, text, symbol, volume=str(draw.randint(1, 400)))


@settings(max_examples=8)
@given(
    st.integers(0, 10**6),
    st.sampled_from([None, Decimal("0.1")]),
    st.sampled_from([0, 30]),
    st.sampled_from(Slippage),
    st.sampled_from(["none", "zerodha", "ibkr_fixed"]),
)
def test_exits_never_exceed_the_position(seed, participation, latency, slippage, costs):
    rows = [*_walk(seed, "AAA"), *(_walk(seed + 1, "BBB") if seed % 2 else ())]
    market = PaperSettings(
        spread=Decimal("0.04"), participation=participation, latency=timedelta(seconds=latency),
        slippage=slippage, basis_points=Decimal(5),
    )  # fmt: skip
    result = run_backtest(
        Restless(),
        [text for _, _, text in sorted(rows)],
        seed=seed,
        market=market,
        costs=parse_costs(costs),
        cash=Decimal(20_000),
        instruments=InstrumentTerms("NSE" if costs == "zerodha" else "NYSE", Decimal("0.01"), Decimal(1)),
    )
    assert result.orders > 10
