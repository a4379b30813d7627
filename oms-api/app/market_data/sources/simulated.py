"""Simulated prices: any symbol has a price at any time, and a seed gives the same ones everywhere.

Currency pairs only have a price if their base price is known.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from app.market_data.rules.bars import Interval
from app.market_data.rules.base_prices import BasePrice, find_base_price, get_base_symbol
from app.market_data.rules.values import Bar, Quote
from app.market_data.rules.walk import UNIT, compute_deviation, compute_deviations, draw_number
from app.money import round_to_nearest_step

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_HALF_SPREAD = Decimal("0.0001")  # of the price, at least one tick
# The walk is sampled at the first and last second of a bar and at multiples of these seconds, so that a
# thousand bars of any length cost about the same. Longer bars use a subset of the samples of shorter ones.
_STEPS = {
    Interval.MINUTE: 1,
    Interval.FIVE_MINUTES: 4,
    Interval.FIFTEEN_MINUTES: 16,
    Interval.HOUR: 64,
    Interval.DAY: 1024,
}
_MAX_CACHED_SYMBOLS = 10_000  # the number of cached symbols; others are computed each time
_MIN_VOLUME, _VOLUME_RANGE = 20, 180  # units per second


class SimulatedSource:
    """A random walk around the base prices of symbols. Prices change every second and fill any quantity."""

    name = "simulated"

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._walks: dict[str, tuple[bytes, BasePrice] | None] = {}
        self._last_quotes: dict[str, tuple[int, Quote]] = {}

    def get_quote(self, symbol: str, at: datetime) -> Quote | None:
        """Return the quote of the second that contains `at`, or None for an unknown currency pair."""
        second = _count_seconds(at)
        cached = self._last_quotes.get(symbol)
        if cached is not None and cached[0] == second:
            return cached[1]
        walk = self._get_walk(symbol)
        if walk is None:
            return None
        quote = self._compute_quote(symbol, *walk, second)
        self._cache_value(self._last_quotes, symbol, (second, quote))
        return quote

    def _compute_quote(self, symbol: str, key: bytes, base: BasePrice, second: int) -> Quote:
        last = _compute_price(base, compute_deviation(key, second))
        half = round_to_nearest_step(max(last * _HALF_SPREAD, base.tick), base.tick)
        bid = max(last - half, base.tick)
        return Quote(symbol, bid, last + half, last, None, None, _EPOCH + second * _SECOND, self.name)

    def get_last_heartbeat(self, at: datetime) -> datetime | None:  # noqa: ARG002  # declared by PriceSource
        """Return None: prices are computed for any instant."""
        return None

    def get_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar] | None:
        """Return the bars that begin in [start, end), the last up to `end`, or None without a price."""
        walk = self._get_walk(symbol)
        if walk is None:
            return None
        key, base = walk
        length = interval.length // _SECOND
        first = -(-max(_count_seconds(start), 0) // length) * length
        return [
            _compute_bar(symbol, key, base, begins, length, samples)
            for begins, samples in _sample_bars(
                key, first, -((end - _EPOCH) // -_SECOND), length, _STEPS[interval]
            )
        ]

    def follow(self, symbols: frozenset[str]) -> None:
        """Do nothing: every symbol has a price."""

    def _get_walk(self, symbol: str) -> tuple[bytes, BasePrice] | None:
        if symbol in self._walks:
            return self._walks[symbol]
        form = get_base_symbol(symbol)
        key = hashlib.blake2b(f"{self._seed}|{form}".encode(), digest_size=32).digest()
        base = find_base_price(form, draw_number(key, b"level"))
        walk = None if base is None else (key, base)
        self._cache_value(self._walks, symbol, walk)
        return walk

    @staticmethod
    def _cache_value(cached_values: dict[str, T], symbol: str, value: T) -> None:
        if symbol in cached_values or len(cached_values) < _MAX_CACHED_SYMBOLS:
            cached_values[symbol] = value


def _count_seconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _SECOND


def _compute_price(base: BasePrice, deviation: int) -> Decimal:
    return round_to_nearest_step(base.price * (UNIT + deviation * base.relative_volatility) / UNIT, base.tick)


def _sample_bars(key: bytes, first: int, end: int, length: int, step: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the start of each bar in [first, end), and its samples of the walk."""
    origin = first // step * step
    points = compute_deviations(key, origin, end, step) if first < end else []
    for begins in range(first, end, length):
        ends = min(begins + length, end)
        between = points[(begins - origin) // step + 1 : -((origin - ends) // step)]
        yield begins, [compute_deviation(key, begins), *between, compute_deviation(key, ends - 1)]


def _compute_bar(
    symbol: str, key: bytes, base: BasePrice, start: int, length: int, samples: list[int]
) -> Bar:
    first, highest, lowest, last = (
        _compute_price(base, deviation) for deviation in (samples[0], max(samples), min(samples), samples[-1])
    )
    units_per_second = _MIN_VOLUME + draw_number(key, b"volume %d %d" % (start, length)) % _VOLUME_RANGE
    begins = _EPOCH + start * _SECOND
    return Bar(symbol, begins, first, highest, lowest, last, Decimal(units_per_second * length))
