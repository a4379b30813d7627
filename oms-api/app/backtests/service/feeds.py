"""The bars of each symbol as a strategy sees them: the current one, earlier ones, and declared indicators."""

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain

from app.market_data.rules.values import Bar as MarketBar
from slackoms_strategy import Bar, BarColumns, PriceSeries, Series

MAX_HISTORY = 5_000  # bars of a symbol that a strategy can read


class Feed:
    """The bars of one symbol. `index` is the current bar's in `columns`, -1 before the first of a block.

    `floats` and `prices` are the declared indicators with their values in this block.
    """

    __slots__ = ("_earlier", "columns", "floats", "index", "prices", "seen", "symbol", "warm_up")

    def __init__(self, symbol: str, warm_up: int) -> None:
        self.symbol = symbol
        self.columns: BarColumns | None = None
        self.index = -1
        self.seen = 0  # bars before this block
        self.warm_up = warm_up
        self.floats: list[tuple[Series, Sequence[float]]] = []
        self.prices: list[tuple[PriceSeries, Sequence[int | None]]] = []
        self._earlier: deque[BarColumns] = deque()

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
            known = sum(len(bar_columns.starts) for bar_columns in self._earlier)
            while known - len(self._earlier[0].starts) >= MAX_HISTORY:
                known -= len(self._earlier.popleft().starts)
        self.columns, self.index = columns, -1
        self.floats = [(series, series.indicator.extend(columns)) for series, _ in self.floats]
        self.prices = [(series, series.indicator.extend(columns)) for series, _ in self.prices]
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

    def find_price(self) -> Decimal | None:
        """Return the close of the current bar, None before the first."""
        columns, index = self.columns, self.index
        if index < 0 and self._earlier:
            columns = self._earlier[-1]
        elif columns is None or index < 0:
            return None
        return Decimal(columns.closes[index]).scaleb(-columns.places)

    def build_market_bar(self) -> MarketBar:
        """Return the current bar as the market takes it."""
        columns = self.columns
        assert columns is not None  # noqa: S101  # there is a current bar
        index, exponent = self.index, -columns.places
        prices = (columns.opens[index], columns.highs[index], columns.lows[index], columns.closes[index])
        opened, high, low, close = [Decimal(price).scaleb(exponent) for price in prices]
        start = datetime.fromtimestamp(columns.starts[index], UTC)
        return MarketBar(self.symbol, start, opened, high, low, close, Bar(columns, index).volume)

    def list_history(self, count: int) -> list[Bar]:
        """Return at most the last `count` bars up to the current one, oldest first."""
        found: deque[Bar] = deque()
        current = [] if self.columns is None else [(self.columns, self.index + 1)]
        earlier = ((bar_columns, len(bar_columns.starts)) for bar_columns in reversed(self._earlier))
        for columns, size in chain(current, earlier):
            first = max(size - (count - len(found)), 0)
            found.extendleft(Bar(columns, index) for index in range(size - 1, first - 1, -1))
            if len(found) >= count:
                break
        return list(found)
