"""Parse lines of bars into columns.

A chunk of ordinary lines is parsed column by column, which takes about a microsecond a bar. If anything in it
is unusual or wrong, it is parsed line by line, which also finds the line of an error.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import compress, islice, repeat
from operator import attrgetter, ge, le, lt, mod, mul, ne, sub

from app.backtests.rules.blocks import BarTable
from app.instruments.rules import SYMBOL_PATTERN
from app.market_data.rules.bars import Interval
from app.market_data.rules.price_files import PriceFileError, read_price_rows
from app.market_data.rules.values import Bar
from slackoms_strategy.values import UNKNOWN_VOLUME

HEADER = "symbol,start,open,high,low,close,volume"
_UNSORTED_MESSAGE = "the bars must be sorted by `start`, then `symbol`, without duplicates"
_CELL_COUNT = HEADER.count(",") + 1
_HOUR = 13  # characters of a time up to its hour
_DAY_SECONDS = 86_400
_MAX_EXACT = 10.0**15  # whole numbers up to it are exact as floats
_MAX_INTEGER = 2**63
_MAX_PLACES = 8
_START_PATTERN = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:Z|\+00:00)"
_VOLUME_PATTERN = r"(?:\d{1,15}|\d{1,7}\.\d{1,8})?"
# Lines whose prices have at most so many decimals, and at most 15 digits, with 0 for each digit.
_LINE_PATTERN_BY_PLACES = {
    places: re.compile(
        rf"{SYMBOL_PATTERN},{_START_PATTERN},(?:\d{{1,{15 - places}}}(?:\.\d{{1,{places}}})?,){{4}}"
        + _VOLUME_PATTERN,
        re.ASCII,
    )
    for places in (2, 4, 6, _MAX_PLACES)
}
_TO_SHAPE = str.maketrans("123456789", "000000000")


class _Hours(dict[str, int]):
    def __missing__(self, text: str) -> int:
        instant = datetime.fromisoformat(f"{text}:00").replace(tzinfo=UTC)
        self[text] = seconds = int(instant.timestamp())
        return seconds


class _Minutes(dict[str, int]):
    def __missing__(self, text: str) -> int:
        minutes, seconds = int(text[1:3]), int(text[4:6]) if text[3:4] == ":" else 0
        if minutes > 59 or seconds > 59 or not text.endswith(("Z", "+00:00")):
            raise ValueError(text)
        self[text] = total = minutes * 60 + seconds
        return total


class BarParser:
    """Parses the chunks of one file, whose bars are `interval` long.

    Bars must be sorted by (start, symbol) and unique, and begin at a multiple of the interval since 1970 in
    UTC. Within a UTC day a symbol has a bar for each interval from its first to its last one, unless
    `allow_gaps`.
    """

    def __init__(self, interval: Interval, *, allow_gaps: bool = False) -> None:
        self._interval = interval
        self._seconds = int(interval.length.total_seconds())
        self._allow_gaps = allow_gaps
        self._line = 1  # of the header
        self._places = 2
        self._volume_places = 0
        self._previous: tuple[int, str] = (-_DAY_SECONDS, "")
        self._starts: dict[str, int] = {}  # the last of each symbol
        self._hours, self._minutes = _Hours(), _Minutes()

    def check_header(self, text: str) -> None:
        """Raise PriceFileError if the first line is not the header."""
        if text != HEADER:
            raise PriceFileError(1, f"the header must be {HEADER}")

    def parse(self, text: str) -> BarTable:
        """Return the bars of a chunk of whole lines, each with its line feed. Raises PriceFileError."""
        table = self._parse_columns(text) or self._parse_lines(text)
        symbols = table.symbols
        if isinstance(symbols, str):
            self._starts[symbols] = table.starts[-1]
            self._previous = (table.starts[-1], symbols)
        else:
            self._starts.update(zip(symbols, table.starts, strict=True))
            self._previous = (table.starts[-1], symbols[-1])
        self._line += text.count("\n")
        return table

    def _parse_columns(self, text: str) -> BarTable | None:
        """Return the bars, None if anything is unusual or wrong."""
        shapes = set(text.translate(_TO_SHAPE).splitlines())
        places = next(
            (
                places
                for places in _LINE_PATTERN_BY_PLACES
                if places >= self._places and _all_match(_LINE_PATTERN_BY_PLACES[places], shapes)
            ),
            None,
        )
        if places is None:
            return None
        is_uniform = _have_all_decimals(shapes, places) and text.count(".") == 4 * text.count("\n")
        cells = (text.replace(".", "") if is_uniform else text).replace("\n", ",").split(",")
        names = cells[0:-1:_CELL_COUNT]
        symbols: str | list[str] = names[0] if len(set(names)) == 1 else names
        hours, minutes = self._hours, self._minutes
        try:
            starts = array(
                "q", [hours[cell[:_HOUR]] + minutes[cell[_HOUR:]] for cell in cells[1::_CELL_COUNT]]
            )
        except ValueError:  # no such date or time
            return None
        scale = 1.0 if is_uniform else 10.0**places
        prices = [_convert_to_integers(cells[index::_CELL_COUNT], scale) for index in range(2, 6)]
        volumes = self._scale_volumes(cells[6::_CELL_COUNT])
        if volumes is None or not self._is_valid(symbols, starts, prices):
            return None
        self._places = places
        opens, highs, lows, closes = prices
        return BarTable(
            symbols=symbols,
            seconds=self._seconds,
            places=places,
            volume_places=self._volume_places,
            starts=starts,
            opens=opens,
            highs=highs,
            lows=lows,
            closes=closes,
            volumes=volumes,
        )

    def _scale_volumes(self, cells: Sequence[str]) -> "array[int] | None":
        """Return the volumes, None if one has too many digits for exact floats."""
        if not self._volume_places:
            try:
                return array("q", map(int, cells))
            except ValueError:  # some are empty or have decimals
                self._volume_places = _MAX_PLACES if any("." in cell for cell in cells) else 0
        scale = 10.0**self._volume_places
        scaled_amounts = [float(UNKNOWN_VOLUME) if not cell else float(cell) * scale for cell in cells]
        return array("q", map(round, scaled_amounts)) if max(scaled_amounts) < _MAX_EXACT else None

    def _is_valid(
        self, symbols: str | Sequence[str], starts: "array[int]", prices: Sequence["array[int]"]
    ) -> bool:
        opens, highs, lows, closes = prices
        return (
            min(lows) > 0
            and all(map(ge, highs, opens))
            and all(map(ge, highs, closes))
            and all(map(le, lows, opens))
            and all(map(le, lows, closes))
            and not any(map(mod, starts, repeat(self._seconds)))
            and self._is_sorted(symbols, starts)
            and (self._allow_gaps or not any(self._find_gaps(symbols, starts)))
        )

    def _is_sorted(self, symbols: str | Sequence[str], starts: Sequence[int]) -> bool:
        if isinstance(symbols, str):
            return self._previous < (starts[0], symbols) and all(map(lt, starts, islice(starts, 1, None)))
        keys = list(zip(starts, symbols, strict=True))
        return self._previous < keys[0] and all(map(lt, keys, islice(keys, 1, None)))

    def _find_gaps(self, symbols: str | Sequence[str], starts: "array[int]") -> Iterator[int]:
        """Yield the index of each bar that follows a gap, counted from 1."""
        if isinstance(symbols, str):
            before = array("q", [self._starts.get(symbols, starts[0] - self._seconds)]) + starts[:-1]
        else:
            before = array("q")
            last = dict(self._starts)
            for symbol, start in zip(symbols, starts, strict=True):
                before.append(last.get(symbol, start - self._seconds))
                last[symbol] = start
        steps = map(ne, map(sub, starts, before), repeat(self._seconds))
        for index in compress(range(len(starts)), steps):
            if before[index] // _DAY_SECONDS == starts[index] // _DAY_SECONDS:
                yield index + 1

    def _parse_lines(self, text: str) -> BarTable:
        """Return the bars, read line by line. Raises PriceFileError at the first wrong one."""
        bars, lines = list[Bar](), [HEADER + "\n", *text.splitlines(keepends=True)]
        try:
            for line, value in read_price_rows(lines):
                assert isinstance(value, Bar)  # noqa: S101  # `header` names the columns of bars
                self._check_start(line, value.start, value.symbol)
                bars.append(value)
        except PriceFileError as error:
            problem = str(error).partition(": ")[2]
            raise PriceFileError(self._line + error.line - 1, problem) from None
        table = self._build_table(bars)
        gap = None if self._allow_gaps else next(self._find_gaps(table.symbols, table.starts), None)
        if gap is not None:
            bar = bars[gap - 1]
            problem = f"a bar of {bar.symbol} before {bar.start:%Y-%m-%dT%H:%MZ} is missing on that day"
            raise PriceFileError(self._line + gap, problem)
        return table

    def _check_start(self, line: int, start: datetime, symbol: str) -> None:
        seconds = int(start.timestamp())
        if start.microsecond or seconds % self._seconds:
            raise PriceFileError(line, f"`start` must be a multiple of {self._interval} in UTC")
        if line == 2 and (seconds, symbol) <= self._previous:  # later lines are compared with each other
            raise PriceFileError(
                line, "the bars must be sorted by `start`, then `symbol`, without duplicates"
            )

    def _build_table(self, bars: Sequence[Bar]) -> BarTable:
        fits = all(_is_whole(price, self._places) for bar in bars for price in bar[2:6])
        self._places = self._places if fits else _MAX_PLACES
        if any(bar.volume is not None and not _is_whole(bar.volume, self._volume_places) for bar in bars):
            self._volume_places = _MAX_PLACES
        opens, highs, lows, closes = (
            self._scale_prices(bars, attrgetter(name), self._places)
            for name in ("open", "high", "low", "close")
        )
        volumes = self._scale_prices(bars, attrgetter("volume"), self._volume_places)
        starts = array("q", [int(bar.start.timestamp()) for bar in bars])
        names = [bar.symbol for bar in bars]
        symbols: str | list[str] = names[0] if len(set(names)) == 1 else names
        return BarTable(
            symbols=symbols,
            seconds=self._seconds,
            places=self._places,
            volume_places=self._volume_places,
            starts=starts,
            opens=opens,
            highs=highs,
            lows=lows,
            closes=closes,
            volumes=volumes,
        )

    def _scale_prices(
        self, bars: Sequence[Bar], get: Callable[[Bar], Decimal | None], places: int
    ) -> "array[int]":
        column = array("q")
        for index, bar in enumerate(bars, 1):
            amount = get(bar)
            scaled_amount = UNKNOWN_VOLUME if amount is None else int(amount.scaleb(places))
            if scaled_amount >= _MAX_INTEGER:
                raise PriceFileError(self._line + index, f"{amount} is too large")
            column.append(scaled_amount)
        return column


def _convert_to_integers(cells: Sequence[str], scale: float) -> "array[int]":
    """Return amounts of at most 15 digits in units of 1 / `scale`. The rounding restores the exact number."""
    if scale == 1.0:
        return array("q", map(int, cells))
    return array("q", map(round, map(mul, map(float, cells), repeat(scale))))


def _all_match(pattern: re.Pattern[str], shapes: Iterable[str]) -> bool:
    return all(map(pattern.fullmatch, shapes))


def _have_all_decimals(shapes: Iterable[str], places: int) -> bool:
    """Return whether each price has exactly so many decimals."""
    return all(shape.count(f".{'0' * places},") == 4 for shape in shapes)


def _is_whole(amount: Decimal, places: int) -> bool:
    scaled_amount = amount.scaleb(places)
    return scaled_amount == scaled_amount.to_integral_value()
