"""Run strategies on short lists of bars."""

import csv
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from typing_extensions import override

from app.backtests.rules.bar_parsing import BarParser
from app.backtests.rules.blocks import BarBlock, build_block, split_table
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.engine import BacktestEngine, BacktestRun
from app.backtests.service.recorder import Recorder
from slackoms_strategy import Bar, Context, Fill, OrderState, Strategy
from tests.backtests.bars import join_lines

Step = Callable[[Context, Bar], None]


def build_blocks(lines: Sequence[str], size: int = 10_000) -> list[BarBlock]:
    """Return the bars of lines as blocks of `size` lines."""
    parser = BarParser(BacktestSettings().interval, allow_gaps=True)
    parts = (lines[first : first + size] for first in range(0, len(lines), size))
    return [build_block(split_table(parser.parse(join_lines(part)))) for part in parts]


class Scripted(Strategy):
    """Runs a function at some bars, by their number from 0, and records its callbacks."""

    def __init__(self, steps: dict[int, Step]) -> None:
        super().__init__()
        self.steps, self.bars = steps, 0
        self.fills: list[Fill] = []
        self.orders: list[OrderState] = []

    @override
    def on_bar(self, context: Context, bar: Bar) -> None:
        """Run the step of the bar."""
        step = self.steps.get(self.bars)
        self.bars += 1
        if step is not None:
            step(context, bar)

    @override
    def on_fill(self, context: Context, fill: Fill) -> None:
        """Keep the fill."""
        self.fills.append(fill)

    @override
    def on_order(self, context: Context, order: OrderState) -> None:
        """Keep the order."""
        self.orders.append(order)


def run_backtest(
    strategy: Strategy, lines: Sequence[str], folder: Path | None = None, size: int = 10_000, **settings: Any
) -> BacktestRun:
    """Run a strategy on bars in blocks of `size` lines."""
    symbols = {line.partition(",")[0] for line in lines} - set(settings.get("rate_symbols", ()))
    with closing(Recorder(folder)) as recorder:
        engine = BacktestEngine(strategy, symbols, BacktestSettings(**settings), recorder)
        return engine.run(build_blocks(lines, size))


def run_steps(lines: Sequence[str], steps: dict[int, Step], **settings: Any) -> Scripted:
    """Run steps, and return the strategy with its recorded callbacks."""
    strategy = Scripted(steps)
    run_backtest(strategy, lines, **settings)
    return strategy


def format_fills(fills: Iterable[Fill]) -> list[str]:
    """Return fills as text: "O1 BUY 10 @ 5"."""
    return [
        f"{fill.order_id} {fill.side} {fill.quantity.normalize():f} @ {fill.price.normalize():f}"
        for fill in fills
    ]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a result file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def to_decimal(text: str) -> Decimal:
    """Return an amount of a result file."""
    return Decimal(text)
