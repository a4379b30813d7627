"""Run the code of a strategy on the inputs of its journal, without access to anything else."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import orjson

from app.backtests.rules.blocks import scale_columns
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.context import BacktestContext
from app.backtests.service.feeds import BarFeed
from app.clock import EPOCH
from app.market_data.rules.bars import Interval
from app.money import ZERO
from app.strategies.rules.actions import Reaction
from app.strategies.rules.journal import InputKind, JournalInput
from app.strategies.rules.journal_values import parse_bars, parse_fill, parse_order, parse_quote
from app.strategies.service.live_orders import LiveAccount, LiveOrders
from slackoms_strategy import BarColumns, Strategy

_SECOND = timedelta(seconds=1)


class RunnerSpec(NamedTuple):
    """The strategy to run: its id and name, the values of its parameters, and its symbols."""

    strategy_id: str
    name: str
    parameters: Mapping[str, Any]
    symbols: Sequence[str]


class StrategyRunner(Protocol):
    """Runs a strategy. An implementation may run it in another process: all values are plain."""

    uses_quotes: bool  # whether it defines `on_quote`

    def deliver(self, journal_input: JournalInput) -> Reaction:
        """Call the callbacks for an input, and return the actions that it requests. Raises its exception."""

    def close(self) -> None:
        """End the process of the strategy, if it has one."""


class InvalidState(Exception):
    """Raised when `context.state` holds a value that JSON cannot represent."""

    def __init__(self) -> None:
        super().__init__("`context.state` must hold JSON values only: text, numbers, lists and dictionaries.")


class InProcessRunner:
    """Runs a strategy in this process. The first input must be of the kind START."""

    def __init__(self, strategy: Strategy, strategy_id: str, name: str, symbols: Iterable[str]) -> None:
        self._strategy, self._id = strategy, strategy_id
        self.uses_quotes = type(strategy).on_quote is not Strategy.on_quote
        self._feeds = {symbol: BarFeed(symbol, strategy.warm_up_bars) for symbol in sorted(symbols)}
        self._orders = LiveOrders(name)
        self._account = LiveAccount(lambda symbol: self._feeds[symbol].find_price() or ZERO)
        self._context = BacktestContext(BacktestSettings(), self._account, self._orders, self._feeds)

    def deliver(self, journal_input: JournalInput) -> Reaction:
        """See `StrategyRunner`."""
        self._context.seconds = (journal_input.at - EPOCH) // _SECOND
        self._orders.start_input(f"{self._id}-{journal_input.run}-{journal_input.sequence}")
        payload = orjson.loads(journal_input.payload)
        match journal_input.kind:
            case InputKind.START:
                self._start_strategy(payload)
            case InputKind.BARS:
                self._play_bars(payload)
            case InputKind.QUOTE:
                self._strategy.on_quote(self._context, parse_quote(payload))
            case InputKind.FILL:
                fill = parse_fill(payload)
                self._account.book_fill(fill, payload["product"])
                self._strategy.on_fill(self._context, fill)
            case InputKind.ORDER:
                order = parse_order(payload)
                self._orders.apply(order)
                self._strategy.on_order(self._context, order)
            case InputKind.STOP:
                self._strategy.on_stop(self._context)
        return Reaction(tuple(self._orders.actions), self._serialize_state())

    def close(self) -> None:
        """See `StrategyRunner`. There is no process to end."""

    def _start_strategy(self, payload: Mapping[str, Any]) -> None:
        settings = BacktestSettings(interval=Interval(payload["interval"]), seed=payload["seed"])
        self._context = BacktestContext(settings, self._account, self._orders, self._feeds)
        self._context.owner = type(self._strategy)
        self._context.seconds = payload["seconds"]
        saved = payload["saved"]
        self._context.state.update(saved["state"])
        self._account.restore(saved["account"])
        self._orders.restore(saved["orders"])
        self._strategy.on_start(self._context)
        self._context.finish_start()
        for columns in map(parse_bars, payload["history"]):
            if columns.starts:
                self._load_feed(columns)
                self._show_last(self._feeds[columns.symbol])

    def _play_bars(self, payload: Mapping[str, Any]) -> None:
        """Show all bars of one start, and then call `on_bar` for each."""
        feeds = [self._load_feed(parse_bars(bar)) for bar in payload["bars"]]
        for feed in feeds:
            self._show_last(feed)
        for feed in feeds:
            if feed.seen + feed.index + 1 >= feed.warm_up:
                self._strategy.on_bar(self._context, feed.build_bar())

    def _load_feed(self, columns: BarColumns) -> BarFeed:
        """Continue a feed, with at least the places of its earlier bars."""
        feed = self._feeds[columns.symbol]
        if feed.columns is not None:
            columns = _rescale(columns, feed.columns)
        feed.load(columns)
        return feed

    @staticmethod
    def _show_last(feed: BarFeed) -> None:
        """Make the last bar of the block the current one."""
        feed.index = len(feed.columns.starts) - 1 if feed.columns is not None else -1
        for series, values in feed.floats:
            series.value = values[feed.index]
        for price_series, integers in feed.prices:
            price_series.raw = integers[feed.index]

    def _serialize_state(self) -> str:
        """Return the state from which the strategy continues, as JSON. Raises InvalidState."""
        try:
            return orjson.dumps(
                {
                    "state": self._context.state,
                    "account": self._account.serialize(),
                    "orders": self._orders.serialize(),
                }
            ).decode()
        except TypeError:
            raise InvalidState from None


def build_empty_state(cash: Decimal) -> dict[str, Any]:
    """Return the state of a strategy that has never run."""
    return {"state": {}, "account": {"cash": f"{cash:f}", "positions": []}, "orders": []}


def _rescale(columns: BarColumns, earlier: BarColumns) -> BarColumns:
    places = max(columns.places, earlier.places)
    return scale_columns(columns, places, max(columns.volume_places, earlier.volume_places))
