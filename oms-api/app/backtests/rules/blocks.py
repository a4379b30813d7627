"""Blocks of bars as columns: a file of ten million bars is never in memory as a whole."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

from slackoms_strategy import BarColumns


class BarTable(NamedTuple):
    """Bars of any symbols as columns, in the order of their file. See `BarColumns` for the units.

    `symbols` is one name if all bars are of one symbol.
    """

    symbols: str | Sequence[str]
    seconds: int
    places: int
    volume_places: int
    starts: "array[int]"
    opens: "array[int]"
    highs: "array[int]"
    lows: "array[int]"
    closes: "array[int]"
    volumes: "array[int]"


class BarBlock(NamedTuple):
    """Bars by symbol. `order` has the symbol of each bar by (start, symbol), None if there is only one."""

    columns: Mapping[str, BarColumns]
    order: Sequence[str] | None

    @property
    def size(self) -> int:
        """The number of bars."""
        return sum(len(bar_columns.starts) for bar_columns in self.columns.values())


def split_table(table: BarTable) -> dict[str, BarColumns]:
    """Return the columns of each symbol."""
    terms = (table.seconds, table.places, table.volume_places)
    columns = (table.starts, table.opens, table.highs, table.lows, table.closes, table.volumes)
    if isinstance(table.symbols, str):
        return {table.symbols: BarColumns(table.symbols, *terms, *columns)}
    rows: dict[str, list[int]] = {}
    for index, symbol in enumerate(table.symbols):
        rows.setdefault(symbol, []).append(index)
    selected = {
        symbol: [array("q", map(column.__getitem__, indexes)) for column in columns]
        for symbol, indexes in rows.items()
    }
    return {
        symbol: BarColumns(symbol, *terms, *symbol_columns) for symbol, symbol_columns in selected.items()
    }


def build_block(columns: Mapping[str, BarColumns]) -> BarBlock:
    """Return the block of bars that are sorted within each symbol."""
    if len(columns) <= 1:
        return BarBlock(columns, None)
    keys = sorted(
        key for symbol, bar_columns in columns.items() for key in zip(bar_columns.starts, repeat(symbol))
    )
    return BarBlock(columns, [symbol for _, symbol in keys])


def join_columns(parts: Iterable[BarColumns]) -> BarColumns:
    """Return consecutive bars of one symbol as one. Prices keep their value in the most places of a part."""
    first, *later_parts = parts
    for part in later_parts:
        places = max(first.places, part.places)
        volume_places = max(first.volume_places, part.volume_places)
        earlier, later = (scale_columns(bar_columns, places, volume_places) for bar_columns in (first, part))
        first = earlier._replace(
            starts=earlier.starts + later.starts,
            opens=earlier.opens + later.opens,
            highs=earlier.highs + later.highs,
            lows=earlier.lows + later.lows,
            closes=earlier.closes + later.closes,
            volumes=earlier.volumes + later.volumes,
        )
    return first


def scale_columns(columns: BarColumns, places: int, volume_places: int) -> BarColumns:
    """Return the bars with prices and volumes in units of smaller or equal places."""
    price, volume = 10 ** (places - columns.places), 10 ** (volume_places - columns.volume_places)
    if price == volume == 1:
        return columns
    prices = (
        array("q", (value * price for value in column))
        for column in (columns.opens, columns.highs, columns.lows, columns.closes)
    )
    opens, highs, lows, closes = prices
    volumes = array("q", (value if value < 0 else value * volume for value in columns.volumes))
    return BarColumns(
        symbol=columns.symbol,
        seconds=columns.seconds,
        places=places,
        volume_places=volume_places,
        starts=columns.starts,
        opens=opens,
        highs=highs,
        lows=lows,
        closes=closes,
        volumes=volumes,
    )
