"""Run a strategy on blocks of bars.

Orders are first matched against all bars of one start. Each bar is then shown to the strategy at its end. An
order that the strategy places then has that end as its time, and is matched from the next bar on.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, repeat
from typing import Any, NamedTuple

from app.backtests.errors import InvalidBacktest, InvalidCommand, StrategyFailed
from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.equity_points import DAY_SECONDS, BacktestEquityCurve, EquityPoint, split_days
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.account import BacktestAccount
from app.backtests.service.carry import CarryBooker
from app.backtests.service.context import BacktestContext
from app.backtests.service.corporate_actions import CorporateActionBooker
from app.backtests.service.currency_rates import CurrencyRates
from app.backtests.service.feeds import BarFeed
from app.backtests.service.loading import get_code_path
from app.backtests.service.market_tables import MarketTables, load_tables
from app.backtests.service.order_manager import OrderManager
from app.backtests.service.recorder import Recorder
from app.backtests.service.scheduled_events import ScheduledEvents, build_action_events
from app.backtests.service.square_off import build_square_offs
from app.money import ZERO
from app.sandbox.rules.failures import describe_failure
from slackoms_strategy import Bar, Context, Fill, Strategy

MAX_NOTICES = 10_000  # of one instant: more means that the strategy reacts to its own orders without end
_FINAL_ERRORS = (InvalidBacktest, InvalidCommand, StrategyFailed)  # they need no description
_new_bar: Callable[[type[Bar], tuple[Any, ...]], Bar] = tuple.__new__


class BacktestRun(NamedTuple):
    """The result of a backtest. `result_hash` is the hash of its orders, fills and equity."""

    account: BacktestAccount
    points: Sequence[EquityPoint]
    bars: int
    orders: int
    denied: int
    weekends: bool
    result_hash: str


class BacktestEngine:
    """Runs one strategy once."""

    order_manager: type[OrderManager] = OrderManager

    def __init__(
        self, strategy: Strategy, symbols: Iterable[str], settings: BacktestSettings, recorder: Recorder,
        tables: MarketTables | None = None,
    ) -> None:  # fmt: skip
        self._strategy, self._recorder = strategy, recorder
        tables = tables or load_tables(settings)
        self._hidden = frozenset(settings.rate_symbols) - frozenset(symbols)
        names = sorted({*symbols, *self._hidden})
        self._feeds = {symbol: BarFeed(symbol, strategy.warm_up_bars) for symbol in names}
        self._seconds = int(settings.interval.length.total_seconds())
        self._account = BacktestAccount(
            settings, lambda symbol: self._feeds[symbol].find_price() or ZERO, tables.rates,
            CurrencyRates(settings.currency, self._feeds), recorder.record_movement,
        )  # fmt: skip
        self._orders = self.order_manager(
            settings, self._account, recorder, self._find_price, tables.calendars
        )
        for symbol in self._feeds:
            self._orders.orders_by_symbol[symbol] = {}
        visible_feeds = {symbol: feed for symbol, feed in self._feeds.items() if symbol not in self._hidden}
        self._context = BacktestContext(settings, self._account, self._orders, visible_feeds)
        self._context.owner = type(strategy)
        self._settings, self._events = settings, ScheduledEvents()
        self._calendars = tables.calendars
        self._carry = CarryBooker(settings, self._account, tables.calendars)
        self._curve = BacktestEquityCurve()
        self._bars = self._instants = 0
        self._day: int | None = None
        self._has_weekends = False
        kind = type(strategy)
        self._orders.has_fill_handler = kind.on_fill is not Strategy.on_fill
        self._orders.has_order_handler = kind.on_order is not Strategy.on_order

    @property
    def instant(self) -> int:
        """The current instant in seconds since 1970."""
        return self._context.seconds

    def build_claim(self) -> list[Any]:
        """Return the orders, fills, cash and charges so far, as JSON values."""
        account = self._account
        return [self._orders.count, account.fills, *map(str, (account.cash, account.charges))]

    def run(self, blocks: Iterable[BarBlock]) -> BacktestRun:
        """Run the strategy. Raises StrategyFailed, and InvalidBacktest if there are no bars."""
        for block in blocks:
            if self._day is None:
                self._start_strategy(block)
            self._bars += block.size
            self._play_block(block)
        if self._day is None:
            raise InvalidBacktest("There are no bars of these symbols in this period.")
        self._call_strategy("on_stop", self._strategy.on_stop, self._context)
        self._dispatch_notices()
        self._events.run_until(self._context.seconds)
        self._add_point(is_close=True)
        self._orders.close()
        self._recorder.record_equity(self._curve.points)
        result_hash = self._recorder.finish()
        return BacktestRun(
            account=self._account,
            points=self._curve.points,
            bars=self._bars,
            orders=self._recorder.orders,
            denied=self._recorder.denied,
            weekends=self._has_weekends,
            result_hash=result_hash,
        )

    def _start_strategy(self, block: BarBlock) -> None:
        first = min(bar_columns.starts[0] for bar_columns in block.columns.values())
        self._context.seconds = first
        actions = CorporateActionBooker(self._account, self._orders, self._feeds)
        self._events = ScheduledEvents(
            build_action_events(self._settings, self._feeds, actions),
            self._carry.list_events(first),
            *build_square_offs(
                self._settings, self._account, self._orders, self._feeds, self._calendars, first
            ),
        )
        self._events.run_until(first)
        self._call_strategy("on_start", self._strategy.on_start, self._context)
        self._context.finish_start()
        self._add_point(is_close=False)
        self._dispatch_notices()

    def _play_block(self, block: BarBlock) -> None:
        for symbol, columns in block.columns.items():
            self._feeds[symbol].load(columns)
        try:
            symbol = next(iter(block.columns))
            if block.order is None and symbol not in self._hidden:
                self._play_symbol(self._feeds[symbol], block.columns[symbol].starts)
            else:
                self._play_groups(block)
        except _FINAL_ERRORS:
            raise
        except Exception as error:
            raise self._build_failure("on_bar", error) from error

    def _play_symbol(self, feed: BarFeed, starts: Sequence[int]) -> None:
        """Play the bars of the only symbol of a block."""
        for first, last in split_days(starts):
            self._begin_day(starts[first])
            index = first
            while index < last:
                self._events.run_until(starts[index])
                size = self._curve.step - self._instants % self._curve.step
                stop = min(index + size, last)
                if starts[stop - 1] >= self._events.next_at:
                    stop = bisect_left(starts, self._events.next_at, index, stop)
                self._play_bars(feed, index, stop)
                self._instants += stop - index
                index = stop
                if self._instants % self._curve.step == 0:
                    self._add_point(is_close=False)

    def _play_bars(self, feed: BarFeed, first: int, stop: int) -> None:
        """Play some bars of one symbol, one after the other. This is the hot loop of a backtest."""
        columns, seconds = feed.columns, self._seconds
        assert columns is not None  # noqa: S101  # the block is loaded
        floats, prices = feed.floats, feed.prices
        terms = map(repeat, (columns.seconds, columns.places, columns.volume_places))
        rows = zip(
            repeat(feed.symbol), columns.starts[first:stop], columns.opens[first:stop],
            columns.highs[first:stop], columns.lows[first:stop], columns.closes[first:stop],
            columns.volumes[first:stop], *terms, strict=False,
        )  # fmt: skip
        context, on_bar = self._context, self._strategy.on_bar
        open_orders, notices = self._orders.orders_by_symbol[feed.symbol], self._orders.notices
        ready = feed.warm_up - feed.seen - 1  # the index of the first bar after the warm-up
        for index, row in enumerate(rows, first):
            feed.index = index
            context.seconds = end = row[1] + seconds
            for series, values in floats:
                series.value = values[index]
            for price_series, integers in prices:
                price_series.raw = integers[index]
            if open_orders:
                self._orders.match(feed, end)
            if notices:
                self._dispatch_notices()
            if index >= ready:
                on_bar(context, _new_bar(Bar, row))
                if notices:
                    self._dispatch_notices()

    def _play_groups(self, block: BarBlock) -> None:
        """Play the bars of several symbols: all bars of one start together."""
        for start, group in groupby(self._advance_feeds(_list_order(block)), key=lambda feed: feed[1]):
            self._begin_day(start)
            self._events.run_until(start)
            self._context.seconds = end = start + self._seconds
            feeds = [feed for feed, _ in group]
            for feed in feeds:
                self._show_bar(feed)
            for feed in feeds:
                if self._orders.orders_by_symbol[feed.symbol]:
                    self._orders.match(feed, end)
            self._dispatch_notices()
            for feed in feeds:
                if feed.seen + feed.index + 1 >= feed.warm_up and feed.symbol not in self._hidden:
                    self._call_strategy("on_bar", self._strategy.on_bar, self._context, feed.build_bar())
                    self._dispatch_notices()
            self._finish_instant()
            self._instants += 1
            if self._instants % self._curve.step == 0:
                self._add_point(is_close=False)

    def _finish_instant(self) -> None:
        """End the instant of some bars of several symbols."""

    def _advance_feeds(self, order: Sequence[str]) -> Iterator[tuple[BarFeed, int]]:
        """Yield the feed and the start of each bar. The caller shows the bar by `_show_bar`."""
        positions = dict.fromkeys(order, 0)
        for symbol in order:
            feed = self._feeds[symbol]
            position = positions[symbol]
            positions[symbol] = position + 1
            if feed.columns is not None:
                yield feed, feed.columns.starts[position]

    def _show_bar(self, feed: BarFeed) -> None:
        """Make the next bar of a symbol the current one."""
        feed.index = index = feed.index + 1
        for series, values in feed.floats:
            series.value = values[index]
        for price_series, integers in feed.prices:
            price_series.raw = integers[index]

    def _begin_day(self, start: int) -> None:
        """Close the day before, if the bar is the first of a UTC day."""
        day = start // DAY_SECONDS
        if day == self._day:
            return
        if self._day is not None:
            self._add_point(is_close=True)
            self._orders.risk.start_day()
        self._has_weekends = self._has_weekends or (day + 3) % 7 >= 5  # 1970-01-01 was a Thursday
        self._day = day

    def _add_point(self, *, is_close: bool) -> None:
        account, at = self._account, self._context.seconds
        exposure = account.compute_exposure()
        self._curve.append(EquityPoint(at, account.cash, *exposure, account.charges, is_close))

    def _dispatch_notices(self) -> None:
        """Report fills and new statuses to the strategy, also the reports that its reactions cause."""
        notices, context, strategy = self._orders.notices, self._context, self._strategy
        count = 0
        while notices:
            count += 1
            if count > MAX_NOTICES:
                error = RuntimeError(f"{MAX_NOTICES} events at one instant")
                raise self._build_failure("on_order", error)
            notice = notices.popleft()
            if isinstance(notice, Fill):
                self._call_strategy("on_fill", strategy.on_fill, context, notice)
            else:
                self._call_strategy("on_order", strategy.on_order, context, notice)

    def _find_price(self, symbol: str) -> Any:
        return self._feeds[symbol].find_price()

    def _call_strategy(
        self, name: str, callback: Callable[..., None], context: Context, *arguments: object
    ) -> None:
        try:
            callback(context, *arguments)
        except _FINAL_ERRORS:
            raise
        except Exception as error:
            raise self._build_failure(name, error) from error

    def _build_failure(self, callback: str, error: Exception) -> StrategyFailed:
        return StrategyFailed(describe_failure(error, get_code_path(type(self._strategy)), callback))


def _list_order(block: BarBlock) -> Sequence[str]:
    """Return the symbol of each bar."""
    if block.order is not None:
        return block.order
    return [symbol for symbol, columns in block.columns.items() for _ in columns.starts]
