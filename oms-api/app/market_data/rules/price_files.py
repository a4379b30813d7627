"""Read bars and ticks from lines of CSV.

Bars: `symbol,start,open,high,low,close,volume`, sorted by (start, symbol); `volume` may be empty. Ticks:
`symbol,at,bid,ask,last`, optionally with `bid_size,ask_size`, sorted by `at`; empty cells are unknown. Times
are in UTC, as RFC 3339.
"""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from app.instruments.rules import normalize_symbol
from app.market_data.rules.values import Bar, Quote
from app.money import ZERO, is_storable, parse_plain

SOURCE = "file"
_BAR_COLUMNS = ("symbol", "start", "open", "high", "low", "close", "volume")
_TICK_COLUMNS = ("symbol", "at", "bid", "ask", "last")
_SIZE_COLUMNS = ("bid_size", "ask_size")
_TICKS_SORTED = "the ticks must be sorted by `at`"
# The errors of rows that are not in order, by header.
_SORT_ERRORS = {
    _BAR_COLUMNS: "the bars must be sorted by `start`, then `symbol`",
    _TICK_COLUMNS: _TICKS_SORTED,
    _TICK_COLUMNS + _SIZE_COLUMNS: _TICKS_SORTED,
}


class PriceFileError(ValueError):
    """Raised when a line of the file is wrong. `line` is its number, from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


class PriceRow(NamedTuple):
    """A row of the file with the number of its line."""

    line: int
    value: Bar | Quote


def read_price_rows(lines: Iterable[str]) -> Iterator[PriceRow]:
    """Yield the bars or ticks of a file in their order. Raises PriceFileError at the first bad line."""
    rows = csv.reader(lines, strict=True)
    previous: tuple[datetime, str] | None = None
    try:
        header = _check_header(next(rows, []))
        for cells in rows:
            value = _parse_row(rows.line_num, header, cells)
            current = (value.start, value.symbol) if isinstance(value, Bar) else (value.at, "")
            if previous is not None and current < previous:
                raise PriceFileError(rows.line_num, _SORT_ERRORS[header])
            if current == previous and isinstance(value, Bar):
                raise PriceFileError(rows.line_num, f"a second bar of {value.symbol} with this start")
            previous = current
            yield PriceRow(rows.line_num, value)
    except csv.Error as error:
        raise PriceFileError(rows.line_num, str(error)) from None


def list_bar_quotes(bar: Bar, length: timedelta) -> list[Quote]:
    """Return the four quotes that replay a bar: open, its two extremes, and close.

    They are a third of the bar apart. The low comes first in a bar that rises, otherwise the high.
    """
    extremes = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    return [
        Quote(
            symbol=bar.symbol,
            bid=None,
            ask=None,
            last=price,
            bid_size=None,
            ask_size=None,
            at=bar.start + length * third / 3,
            source=SOURCE,
        )
        for third, price in enumerate((bar.open, *extremes, bar.close))
    ]


def _check_header(cells: list[str]) -> tuple[str, ...]:
    header = tuple(cells)
    if header not in _SORT_ERRORS:
        raise PriceFileError(
            1, f"the header must be {' or '.join(','.join(columns) for columns in _SORT_ERRORS)}"
        )
    return header


def _parse_row(line: int, header: tuple[str, ...], cells: list[str]) -> Bar | Quote:
    if len(cells) != len(header):
        raise PriceFileError(line, f"the row has {len(cells)} cells, and the header {len(header)}")
    cells_by_name = dict(zip(header, cells, strict=True))
    return _parse_bar(line, cells_by_name) if header == _BAR_COLUMNS else _parse_tick(line, cells_by_name)


def _parse_bar(line: int, cells: dict[str, str]) -> Bar:
    symbol, start = _parse_symbol(line, cells["symbol"]), _parse_instant(line, "start", cells["start"])
    prices = [_parse_amount(line, name, cells[name]) for name in _BAR_COLUMNS[2:6]]
    volume = _parse_optional(line, "volume", cells["volume"], may_be_zero=True)
    bar = Bar._make((symbol, start, *prices, volume))
    if bar.high < max(prices):
        raise PriceFileError(line, "`high` is below another price of the bar")
    if bar.low > min(prices):
        raise PriceFileError(line, "`low` is above another price of the bar")
    return bar


def _parse_tick(line: int, cells: dict[str, str]) -> Quote:
    symbol, at = _parse_symbol(line, cells["symbol"]), _parse_instant(line, "at", cells["at"])
    bid, ask, last = (_parse_optional(line, name, cells[name]) for name in _TICK_COLUMNS[2:])
    sizes = [_parse_optional(line, name, cells.get(name, ""), may_be_zero=True) for name in _SIZE_COLUMNS]
    if bid is None and ask is None and last is None:
        raise PriceFileError(line, "`bid`, `ask` or `last` is needed")
    if bid is not None and ask is not None and bid > ask:
        raise PriceFileError(line, "`bid` is above `ask`")
    return Quote._make((symbol, bid, ask, last, *sizes, at, SOURCE))


def _parse_symbol(line: int, text: str) -> str:
    symbol = normalize_symbol(text)
    if symbol is None:
        raise PriceFileError(line, f"{text!r} is not a symbol")
    return symbol


def _parse_instant(line: int, name: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise PriceFileError(line, f"`{name}` must be a time such as 2026-11-20T15:04:00Z") from None
    if instant.utcoffset() != timedelta(0):
        raise PriceFileError(line, f"`{name}` must be in UTC, with Z at its end")
    return instant.astimezone(UTC)


def _parse_optional(line: int, name: str, text: str, *, may_be_zero: bool = False) -> Decimal | None:
    return _parse_amount(line, name, text, may_be_zero=may_be_zero) if text else None


def _parse_amount(line: int, name: str, text: str, *, may_be_zero: bool = False) -> Decimal:
    amount = parse_plain(text)
    if amount is None or not is_storable(amount):
        raise PriceFileError(line, f"`{name}` must be a number with at most 8 decimals")
    if amount < ZERO or (amount == ZERO and not may_be_zero):
        raise PriceFileError(line, f"`{name}` must be {'at least 0' if may_be_zero else 'positive'}")
    return amount
