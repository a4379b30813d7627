"""The binary frames of Kite's ticker socket: the prices of instruments by their tokens.

Source: kite.trade/docs/connect/v3/websocket. A frame begins with the number of its packets, and each packet
with its length, in two bytes each. All numbers are big-endian. A frame of one byte is a heartbeat.
"""

import csv
import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from app.instruments.rules import normalize_symbol

LTP_LENGTH, QUOTE_LENGTH, FULL_LENGTH = 8, 44, 184
INDEX_QUOTE_LENGTH, INDEX_FULL_LENGTH = 28, 32
# Prices are whole numbers of the smallest unit: 10^-7 in the currency segment of the NSE, 10^-4 in the
# segment of the BSE, paise everywhere else. The last byte of a token is its segment.
_SEGMENT_MASK = 0xFF
_DECIMALS = {3: 7, 6: 4}
_USUAL_DECIMALS = 2
_TIME_OFFSET, _INDEX_TIME_OFFSET = 60, 28
_BEST_BID_OFFSET, _BEST_ASK_OFFSET = 64, 124  # five levels of twelve bytes each: quantity, price, orders


class Tick(NamedTuple):
    """The values of a packet. Prices are exact, None if there is none; `at` is the exchange's time."""

    token: int
    last: Decimal | None
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    at: datetime | None = None


class MalformedFrame(Exception):
    """Raised when the frame ends within a packet, or a packet has an unknown length."""


def parse_frame(frame: bytes) -> list[Tick]:
    """Return the ticks of a frame, none of a heartbeat. Raises MalformedFrame."""
    return [_parse_packet(packet) for packet in _split(frame)] if len(frame) > 1 else []


def index_tokens_by_symbol(lines: Iterable[str], exchanges: Iterable[str]) -> dict[str, int]:
    """Return the tokens of the instruments of a dump by symbol. Of several, the first exchange counts."""
    ranks = {exchange: rank for rank, exchange in enumerate(exchanges)}
    ranked_tokens: dict[str, tuple[int, int]] = {}
    for row in csv.DictReader(lines):
        symbol, rank = normalize_symbol(row.get("tradingsymbol") or ""), ranks.get(row.get("exchange") or "")
        token = row.get("instrument_token") or ""
        if symbol is None or rank is None or not (token.isascii() and token.isdigit()):
            continue
        if symbol not in ranked_tokens or rank < ranked_tokens[symbol][0]:
            ranked_tokens[symbol] = (rank, int(token))
    return {symbol: token for symbol, (_, token) in ranked_tokens.items()}


def merge_tick(previous: Mapping[int, Tick], tick: Tick) -> Tick:
    """Return a tick with the bid and ask that a shorter packet leaves out."""
    previous_tick = previous.get(tick.token)
    if previous_tick is None or tick.at is not None:
        return tick
    return previous_tick._replace(last=tick.last)


def _split(frame: bytes) -> Iterator[bytes]:
    (count,) = struct.unpack_from(">H", frame)
    start = 2
    for _ in range(count):
        if start + 2 > len(frame):
            raise MalformedFrame
        (length,) = struct.unpack_from(">H", frame, start)
        packet = frame[start + 2 : start + 2 + length]
        if len(packet) < length:
            raise MalformedFrame
        yield packet
        start += 2 + length


def _parse_packet(packet: bytes) -> Tick:
    if len(packet) not in {LTP_LENGTH, QUOTE_LENGTH, FULL_LENGTH, INDEX_QUOTE_LENGTH, INDEX_FULL_LENGTH}:
        raise MalformedFrame
    token, units = struct.unpack_from(">II", packet)
    decimals = _DECIMALS.get(token & _SEGMENT_MASK, _USUAL_DECIMALS)
    last = _parse_price(units, decimals)
    if len(packet) == INDEX_FULL_LENGTH:
        return Tick(token, last, at=_parse_time(packet, _INDEX_TIME_OFFSET))
    if len(packet) != FULL_LENGTH:
        return Tick(token, last)
    bid_size, bid = struct.unpack_from(">II", packet, _BEST_BID_OFFSET)
    ask_size, ask = struct.unpack_from(">II", packet, _BEST_ASK_OFFSET)
    return Tick(
        token,
        last,
        bid=_parse_price(bid, decimals),
        ask=_parse_price(ask, decimals),
        bid_size=Decimal(bid_size) if bid else None,
        ask_size=Decimal(ask_size) if ask else None,
        at=_parse_time(packet, _TIME_OFFSET),
    )


def _parse_price(units: int, decimals: int) -> Decimal | None:
    """Return a price. Kite writes 0 where there is none."""
    return Decimal(units).scaleb(-decimals) if units else None


def _parse_time(packet: bytes, offset: int) -> datetime | None:
    (seconds,) = struct.unpack_from(">I", packet, offset)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
