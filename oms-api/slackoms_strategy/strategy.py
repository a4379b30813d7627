"""The base class of strategies."""

from collections.abc import Mapping
from typing import Any, ClassVar

from slackoms_strategy.context import Context
from slackoms_strategy.parameters import parse_parameters
from slackoms_strategy.values import Bar, Fill, OrderState, Quote


class Strategy:
    """A trading strategy. Its parameters are class attributes; override the callbacks that it needs.

    `warm_up_bars` bars of a symbol are only shown in the history, before `on_bar` is called for it.
    Indicators that need more bars lengthen that time. An exception stops the strategy.

    `files` has the SHA-256 hash of each file beside the module that `context.read_file` may read.
    """

    warm_up_bars = 0
    files: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **parameters: Any) -> None:
        """Set the parameters. Raises InvalidParameter."""
        vars(self).update(parse_parameters(type(self), parameters))

    def on_start(self, context: Context) -> None:
        """Start: declare indicators here. `context.state` has the stored state."""

    def on_bar(self, context: Context, bar: Bar) -> None:
        """React to a bar that has ended. Bars of other symbols with the same start are known, too."""

    def on_quote(self, context: Context, quote: Quote) -> None:
        """React to a quote. A backtest on bars has none."""

    def on_fill(self, context: Context, fill: Fill) -> None:
        """React to a fill of an own order."""

    def on_order(self, context: Context, order: OrderState) -> None:
        """React to a new status of an own order, its denial included."""

    def on_stop(self, context: Context) -> None:
        """Stop: the last callback."""
