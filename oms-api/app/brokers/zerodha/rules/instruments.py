"""Kite's dump of instruments: CSV with one instrument a line."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from app.instruments.rules import Instrument, normalize_symbol
from app.money import ZERO, is_storable, parse_plain

_ASSET_CLASSES = {"EQ": "equity", "FUT": "future", "CE": "option", "PE": "option"}
_INDICES = "INDICES"
_MAX_NAME_LENGTH = 100


def parse_instruments(lines: Iterable[str]) -> Iterator[Instrument]:
    """Yield the instruments that can be traded. Indices and lines that are malformed are left out."""
    for row in csv.DictReader(lines):
        instrument = _parse_row(row)
        if instrument is not None:
            yield instrument


def merge_instruments(*dumps: Iterable[Instrument]) -> dict[str, Instrument]:
    """Return the instruments by symbol. The first dump that has a symbol names its exchange."""
    merged: dict[str, Instrument] = {}
    for dump in dumps:
        for instrument in dump:
            merged.setdefault(instrument.symbol, instrument)
    return merged


def _parse_row(row: Mapping[str, str | None]) -> Instrument | None:
    symbol = normalize_symbol(row.get("tradingsymbol") or "")
    asset_class = _ASSET_CLASSES.get(row.get("instrument_type") or "")
    steps = [_parse_step(row.get(name)) for name in ("tick_size", "lot_size")]
    if symbol is None or asset_class is None or row.get("segment") == _INDICES or None in steps:
        return None
    tick, lot = (step or ZERO for step in steps)
    name = " ".join((row.get("name") or "").split())[:_MAX_NAME_LENGTH]
    exchange = row.get("exchange") or ""
    return Instrument(symbol, exchange, asset_class, "INR", tick, lot, is_listed=True, name=name)


def _parse_step(text: str | None) -> Decimal | None:
    step = parse_plain(text or "")
    return step if step is not None and step > ZERO and is_storable(step) else None
