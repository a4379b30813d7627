"""The bars of each symbol as a strategy sees them: the current one, earlier ones, and declared indicators."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import TypeVar, overload

from typing_extensions import override

from app.ledger.rules.corporate_actions import Ratio
from app.market_data.rules.values import Bar as MarketBar
from app.money import compute_share
from slackoms_strategy import Bar, BarColumns, Indicator, PriceIndicator, PriceSeries, Series
from slackoms_strategy.indicators import takes_blocks
from slackoms_strategy.values import build_bar

MAX_HISTORY = 5_000  # bars of a symbol that a strategy can read


T = TypeVar("T")


class StepwiseValues(Sequence[T]):
    """The values of an indicator that gets one bar at a time. They are read in time order."""

    def __init__(self, extend: Callable[[BarColumns], Sequence[T]], columns: BarColumns) -> None:
        self._extend, self._columns = extend, columns
        self._values: list[T] = []

    @override
    def __len__(self) -> int:
        return len(self._columns.starts)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    @override
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        last = index.stop - 1 if isinstance(index, slice) else index
        while len(self._values) <= last:
            row = len(self._values)
            self._values += self._extend(self._columns.rows(row, row + 1))
        return self._values[index]


class BarFeed:
    """The bars of one symbol. `index` is the current bar's in `columns`, -1 before the first of a block.

    `floats` and `prices` are the declared indicators with their values in this block.
    """

    __slots__ = (
        "_earlier",
        "_last_split",
        "columns",
        "floats",
        "index",
        "prices",
        "seen",
        "symbol",
        "warm_up",
    )

    def __init__(self, symbol: str, warm_up: int) -> None:
        self.symbol = symbol
        self.columns: BarColumns | None = None
        self.index = -1
        self.seen = 0  # bars before this block
        self.warm_up = warm_up
        self.floats: list[tuple[Series, Sequence[float]]] = []
        self.prices: list[tuple[PriceSeries, Sequence[int | None]]] = []
        self._earlier: deque[BarColumns] = deque()
        self._last_split: tuple[int, Ratio] | None = None  # with the number of the bar before it

    def declare(self, series: Series | PriceSeries) -> None:
        """Add an indicator. It lengthens the warm-up to its own."""
        if isinstance(series, Series):
            self.floats.append((series, ()))
        else:
            self.prices.append((series, ()))
        self.warm_up = max(self.warm_up, series.indicator.lookback)

    def load(self, columns: BarColumns) -> None:
        """Continue with the next block, and compute its indicators."""
        if self.columns is not None:
            self.seen += len(self.columns.starts)
            self._earlier.append(self.columns)
            bar_count = sum(len(bar_columns.starts) for bar_columns in self._earlier)
            while bar_count - len(self._earlier[0].starts) >= MAX_HISTORY:
                bar_count -= len(self._earlier.popleft().starts)
        self.columns, self.index = columns, -1
        self.floats = [(series, _compute_values(series.indicator, columns)) for series, _ in self.floats]
        self.prices = [(series, _compute_prices(series.indicator, columns)) for series, _ in self.prices]
        for price_series, _ in self.prices:
            if price_series.raw is not None:
                price_series.raw *= 10 ** (columns.places - price_series.places)
            price_series.places = columns.places

    @property
    def start(self) -> int:
        """The start of the current bar, in seconds since 1970."""
        columns = self.columns
        assert columns is not None  # noqa: S101  # there is a current bar
        return columns.starts[self.index]

    def restate(self, ratio: Ratio) -> None:
        """Divide the last price by the ratio of a split, until the next bar."""
        number, earlier = self.seen + self.index, self._last_split
        if earlier is not None and earlier[0] == number:  # of the same instant
            ratio = Ratio(ratio.new_units * earlier[1].new_units, ratio.old_units * earlier[1].old_units)
        self._last_split = (number, ratio)

    def find_price(self) -> Decimal | None:
        """Return the close of the current bar, None before the first."""
        columns, index = self.columns, self.index
        if index < 0 and self._earlier:
            columns = self._earlier[-1]
        elif columns is None or index < 0:
            return None
        price = Decimal(columns.closes[index]).scaleb(-columns.places)
        if self._last_split is None or self._last_split[0] != self.seen + self.index:
            return price
        return compute_share(price, self._last_split[1].old_units, self._last_split[1].new_units)

    def find_price_at(self, start: int | None) -> Decimal | None:
        """Return the open of the current bar if it begins then, else its close; None before the first."""
        columns, index = self.columns, self.index
        if start is None or columns is None or index < 0 or columns.starts[index] != start:
            return self.find_price()
        return Decimal(columns.opens[index]).scaleb(-columns.places)

    def build_market_bar(self) -> MarketBar:
        """Return the current bar for the paper market."""
        columns = self.columns
        assert columns is not None  # noqa: S101  # there is a current bar
        index, exponent = self.index, -columns.places
        prices = (columns.opens[index], columns.highs[index], columns.lows[index], columns.closes[index])
        open_price, high, low, close = [Decimal(price).scaleb(exponent) for price in prices]
        start = datetime.fromtimestamp(columns.starts[index], UTC)
        return MarketBar(self.symbol, start, open_price, high, low, close, self.build_bar().volume)

    def list_history(self, count: int) -> list[Bar]:
        """Return at most the last `count` bars up to the current one, oldest first."""
        bars: deque[Bar] = deque()
        current = [] if self.columns is None else [(self.columns, self.index + 1)]
        earlier = ((bar_columns, len(bar_columns.starts)) for bar_columns in reversed(self._earlier))
        for columns, size in chain(current, earlier):
            first = max(size - (count - len(bars)), 0)
            bars.extendleft(build_bar(columns, index) for index in range(size - 1, first - 1, -1))
            if len(bars) >= count:
                break
        return list(bars)

    def build_bar(self) -> Bar:
        """Return the current bar as a strategy sees it."""
        columns = self.columns
        assert columns is not None  # noqa: S101  # there is a current bar
        return build_bar(columns, self.index)


def _compute_values(indicator: Indicator, columns: BarColumns) -> Sequence[float]:
    if takes_blocks(indicator):
        return indicator.extend(columns)
    return StepwiseValues(indicator.extend, columns)


def _compute_prices(indicator: PriceIndicator, columns: BarColumns) -> Sequence[int | None]:
    if takes_blocks(indicator):
        return indicator.extend(columns)
    return StepwiseValues(indicator.extend, columns)
