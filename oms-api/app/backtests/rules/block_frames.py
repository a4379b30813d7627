"""Blocks of bars as bytes: the columns one after the other, as 64-bit integers."""

from array import array
from collections.abc import Mapping
from typing import Any

from app.backtests.rules.blocks import BarBlock
from slackoms_strategy import BarColumns

_COLUMNS = ("starts", "opens", "highs", "lows", "closes", "volumes")
_INTEGER_BYTES = 8


def pack_block(block: BarBlock) -> tuple[dict[str, Any], bytes]:
    """Return the description of a block, and its bytes. The order of symbols follows the columns."""
    numbers = {symbol: number for number, symbol in enumerate(block.columns)}
    terms = [
        (
            bar_columns.symbol,
            bar_columns.seconds,
            bar_columns.places,
            bar_columns.volume_places,
            len(bar_columns.starts),
        )
        for bar_columns in block.columns.values()
    ]
    parts = [
        getattr(bar_columns, name).tobytes() for bar_columns in block.columns.values() for name in _COLUMNS
    ]
    if block.order is not None:
        parts.append(array("I", map(numbers.__getitem__, block.order)).tobytes())
    return {"columns": terms, "has_order": block.order is not None}, b"".join(parts)


def parse_block(fields: Mapping[str, Any], body: bytes) -> BarBlock:
    """Return the block of `pack_block`."""
    view, position = memoryview(body), 0
    columns = {}
    for symbol, seconds, places, volume_places, count in fields["columns"]:
        value_columns = []
        for _ in _COLUMNS:
            column = array("q")
            column.frombytes(view[position : position + count * _INTEGER_BYTES])
            position += count * _INTEGER_BYTES
            value_columns.append(column)
        columns[symbol] = BarColumns(symbol, seconds, places, volume_places, *value_columns)
    if not fields["has_order"]:
        return BarBlock(columns, None)
    order, symbols = array("I"), list(columns)
    order.frombytes(view[position:])
    return BarBlock(columns, [symbols[number] for number in order])
