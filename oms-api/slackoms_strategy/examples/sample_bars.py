"""Write invented bars to try a strategy on: `python -m slackoms_strategy.examples.sample_bars > bars.csv`.

The prices are a random walk that is the same for the same seed. They say nothing about a market.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

HEADER = "symbol,start,open,high,low,close,volume"
START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
_STEPS = 4  # of a bar: its open, two prices in between, and its close
_FIRST_CENTS = 10_000
_MIN_CENTS = 100


class Walk:
    """A price in cents that moves by up to 0.3% a step, around a common one."""

    def __init__(self, draw: Random) -> None:
        self._draw, self._cents = draw, float(_FIRST_CENTS)

    def step(self, common: float) -> list[int]:
        """Return the prices of the next bar. `common` is the move of all symbols, as a share."""
        prices = []
        for _ in range(_STEPS):
            own = (self._draw.random() - 0.5) * 0.006
            back = (_FIRST_CENTS / self._cents - 1) * 0.001
            self._cents = max(self._cents * (1 + common / _STEPS + own + back), _MIN_CENTS)
            prices.append(round(self._cents))
        return prices


def list_bars(symbols: Sequence[str], count: int, seed: int = 7) -> Iterator[str]:
    """Yield the lines of `count` hourly bars of each symbol, the header first."""
    draw = Random(seed)  # noqa: S311  # reproducible, not secret
    walks = {symbol: Walk(draw) for symbol in sorted(symbols)}
    yield HEADER
    for number in range(count):
        start, common = START + number * HOUR, (draw.random() - 0.5) * 0.01
        for symbol, walk in walks.items():
            prices = walk.step(common)
            bar = (prices[0], max(prices), min(prices), prices[-1])
            cells = ",".join(f"{price / 100:.2f}" for price in bar)
            yield f"{symbol},{start:%Y-%m-%dT%H:%M:%SZ},{cells},{1000 + round(draw.random() * 9000)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the bars to standard output."""
    parser = argparse.ArgumentParser(description="Write invented hourly bars as CSV.")
    parser.add_argument("--symbols", default="AAA,BBB")
    parser.add_argument("--count", type=int, default=2_000, help="bars of each symbol")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args(arguments)
    for line in list_bars(args.symbols.split(","), args.count, args.seed):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
