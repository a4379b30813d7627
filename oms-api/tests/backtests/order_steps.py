"""Orders of a strategy by step, and random prices."""

from random import Random

from slackoms_strategy import Side
from tests.backtests.bars import build_line


def buy_units(quantity=10, **fields):
    return lambda context, bar: context.order(bar.symbol, Side.BUY, quantity, **fields)


def sell_units(quantity=10, **fields):
    return lambda context, bar: context.order(bar.symbol, Side.SELL, quantity, **fields)


def build_random_walk(seed, count=120):
    draw, price = Random(seed), 10_000
    lines = []
    for minute in range(count):
        path = [price := max(price + draw.randint(-40, 40), 100) for _ in range(4)]
        prices = (path[0], max(path), min(path), path[-1])
        lines.append(build_line(minute, "/".join(f"{cents / 100:.2f}" for cents in prices)))
    return lines
