"""Declared indicators. They are computed for a block of bars at a time, and carry their state to the next.

Statistics are 64-bit floats, NaN until enough bars are known. Prices, such as the highest of some bars, are
exact: whole numbers of the last place, None until enough bars are known.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import accumulate, chain, compress, islice, repeat
from math import nan, sqrt
from operator import gt, lt, ne, sub, truediv

from slackoms_strategy.values import BarColumns


class Indicator(ABC):
    """A statistic of the bars of one symbol. `lookback` is the number of bars until its first value."""

    lookback = 1

    @abstractmethod
    def extend(self, columns: BarColumns) -> Sequence[float]:
        """Return the value at each of the next bars, which follow those of the call before.

        Indicators of this module get blocks of bars, others one bar at a time, when it is complete.
        """


class PriceIndicator(ABC):
    """A price that the bars of one symbol have reached."""

    lookback = 1

    @abstractmethod
    def extend(self, columns: BarColumns) -> Sequence[int | None]:
        """Return the price at each of the next bars, in their last place."""


class Series:
    """A declared indicator: its `value` at the last bar of its symbol."""

    __slots__ = ("indicator", "symbol", "value")

    def __init__(self, indicator: Indicator, symbol: str) -> None:
        self.indicator, self.symbol = indicator, symbol
        self.value = nan


class PriceSeries:
    """A declared price indicator. `raw` is the price in units of 10^-`places`."""

    __slots__ = ("indicator", "places", "raw", "symbol")

    def __init__(self, indicator: PriceIndicator, symbol: str) -> None:
        self.indicator, self.symbol = indicator, symbol
        self.places = 0
        self.raw: int | None = None

    @property
    def value(self) -> Decimal | None:
        """The price at the last bar of its symbol, None if it is not known yet."""
        return None if self.raw is None else Decimal(self.raw).scaleb(-self.places)


class _Tail:
    """The last closes before the next block, as whole numbers of its last place."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: list[int] = []
        self._places = 0

    def extend(self, columns: BarColumns) -> list[int]:
        """Return the kept closes and those of the next block, and keep the last ones."""
        factor = 10 ** (columns.places - self._places)  # places never become fewer
        scaled_values = self._values if factor == 1 else [value * factor for value in self._values]
        values = [*scaled_values, *columns.closes]
        self._places = columns.places
        self._values = values[-self._size :] if self._size else []
        return values


class SimpleMovingAverage(Indicator):
    """The mean of the last `length` closes."""

    def __init__(self, length: int) -> None:
        self.length = self.lookback = length
        self._tail = _Tail(length - 1)

    def extend(self, columns: BarColumns) -> list[float]:
        """Return the value at each of the next bars."""
        values = self._tail.extend(columns)
        divisor = self.length * 10**columns.places
        return _pad_values(
            map(truediv, _list_sums(values, self.length), repeat(divisor)), len(columns.closes)
        )


class StandardDeviation(Indicator):
    """The sample standard deviation (n - 1) of the last `length` closes."""

    def __init__(self, length: int) -> None:
        self.length = self.lookback = length
        self._tail = _Tail(length - 1)

    def extend(self, columns: BarColumns) -> list[float]:
        """Return the value at each of the next bars."""
        values, count = self._tail.extend(columns), self.length
        squares = _list_sums([value * value for value in values], count)
        scale, divisor = 10**columns.places, count * (count - 1)
        averages = (
            sqrt((count * square - total * total) / divisor) / scale
            for total, square in zip(_list_sums(values, count), squares, strict=True)
        )
        return _pad_values(averages, len(columns.closes))


class ExponentialMovingAverage(Indicator):
    """The exponential mean of all closes, with the weight 2 / (length + 1)."""

    def __init__(self, length: int) -> None:
        self.length = self.lookback = length
        self._last: float | None = None
        self._count = 0

    def extend(self, columns: BarColumns) -> list[float]:
        """Return the value at each of the next bars."""
        weight, scale = 2.0 / (self.length + 1), 10**columns.places
        closes = [close / scale for close in columns.closes]
        first = closes[0] if self._last is None else self._last
        steps = accumulate(closes, lambda mean, close: mean + weight * (close - mean), initial=first)
        averages = list(islice(steps, 1, None))
        missing = min(max(self.length - 1 - self._count, 0), len(averages))
        self._count += len(averages)
        self._last = averages[-1]
        return [nan] * missing + averages[missing:]


class AverageTrueRange(Indicator):
    """Wilder's mean of the true range: the range of a bar and of the close before."""

    def __init__(self, length: int) -> None:
        self.length = self.lookback = length
        self._mean = 0.0
        self._count = 0
        self._close: float | None = None

    def extend(self, columns: BarColumns) -> list[float]:
        """Return the value at each of the next bars."""
        scale = 10**columns.places
        rows = zip(columns.highs, columns.lows, columns.closes, strict=True)
        return [self._update(high / scale, low / scale, close / scale) for high, low, close in rows]

    def _update(self, high: float, low: float, close: float) -> float:
        before = close if self._close is None else self._close
        spread = max(high, before) - min(low, before) if self._close is not None else high - low
        self._close = close
        self._count += 1
        self._mean += (spread - self._mean) / min(self._count, self.length)
        return self._mean if self._count >= self.length else nan


class Cross(Indicator):
    """1.0 at a bar where `fast` rises above `slow`, -1.0 where it falls below, 0.0 at others."""

    def __init__(self, fast: Indicator, slow: Indicator) -> None:
        self.fast, self.slow = fast, slow
        self.lookback = max(fast.lookback, slow.lookback) + 1
        self._sign = 0  # the last sign of fast - slow that was not zero

    def extend(self, columns: BarColumns) -> list[float]:
        """Return the value at each of the next bars."""
        fast, slow = self.fast.extend(columns), self.slow.extend(columns)
        signs = list(map(sub, map(gt, fast, slow), map(lt, fast, slow)))
        signals = [0.0] * len(signs)
        changes = compress(range(len(signs)), map(ne, signs, chain((self._sign,), signs)))
        for index in changes:
            sign = signs[index]
            if sign and sign != self._sign:
                signals[index] = float(sign) if self._sign else 0.0
                self._sign = sign
        return signals


class _Extreme(PriceIndicator):
    """The most extreme price of the last `length` bars. `delay` leaves that many of the last bars out."""

    sign = 1

    def __init__(self, length: int, delay: int = 0) -> None:
        self.length = length
        self.lookback = length + delay
        self._delayed_values: list[int | None] = [None] * delay
        self._window: deque[tuple[int, int]] = deque()  # bar number and price, the most extreme first
        self._count = 0
        self._places = 0

    def extend(self, columns: BarColumns) -> list[int | None]:
        """Return the value at each of the next bars."""
        factor = 10 ** (columns.places - self._places)
        if factor != 1:
            self._window = deque((number, price * factor) for number, price in self._window)
            self._delayed_values = [
                None if price is None else price * factor for price in self._delayed_values
            ]
            self._places = columns.places
        size = len(columns.closes)
        values = [*self._delayed_values, *map(self._update, self._select_prices(columns))]
        self._delayed_values = values[size:]
        return values[:size]

    def _select_prices(self, columns: BarColumns) -> Iterable[int]:
        return columns.highs

    def _update(self, price: int) -> int | None:
        window, signed_price = self._window, self.sign * price
        while window and self.sign * window[-1][1] <= signed_price:
            window.pop()
        window.append((self._count, price))
        if window[0][0] <= self._count - self.length:
            window.popleft()
        self._count += 1
        return window[0][1] if self._count >= self.length else None


class Highest(_Extreme):
    """The highest high of the last `length` bars, without the last `delay` bars."""


class Lowest(_Extreme):
    """The lowest low of the last `length` bars, without the last `delay` bars."""

    sign = -1

    def _select_prices(self, columns: BarColumns) -> Iterable[int]:
        return columns.lows


_OF_BLOCKS: frozenset[type[Indicator | PriceIndicator]] = frozenset(
    {SimpleMovingAverage, StandardDeviation, ExponentialMovingAverage, AverageTrueRange, Highest, Lowest}
)


def takes_blocks(indicator: Indicator | PriceIndicator) -> bool:
    """Return whether an indicator may get later bars than the current one: it keeps them to itself."""
    if type(indicator) is Cross:
        return takes_blocks(indicator.fast) and takes_blocks(indicator.slow)
    return type(indicator) in _OF_BLOCKS


def _list_sums(values: Sequence[int], length: int) -> Iterator[int]:
    """Return the sums of each `length` consecutive values. They are exact."""
    sums = [0, *accumulate(values)]
    return map(sub, sums[length:], sums)


def _pad_values(computed: Iterable[float], size: int) -> list[float]:
    values = list(computed)
    return [nan] * (size - len(values)) + values
