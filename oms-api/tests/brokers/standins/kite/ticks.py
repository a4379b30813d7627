"""The binary frames of the ticker socket: full packets of the instruments that a client subscribes to."""

import struct
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from tests.brokers.standins.kite.values import ZERO, Listing, Quote

_DECIMALS = {"CDS": 7, "BCD": 4}
_LARGEST = 2**32 - 1


def build_frame(packets: Iterable[bytes]) -> bytes:
    """Return a frame of packets."""
    listed = list(packets)
    return struct.pack(">H", len(listed)) + b"".join(
        struct.pack(">H", len(packet)) + packet for packet in listed
    )


def build_packet(listing: Listing, quote: Quote, mode: str, at: datetime) -> bytes:
    """Return the packet of a quote in a mode: ltp, quote or full. The last price is the middle."""
    decimals = _DECIMALS.get(listing.exchange, 2)
    last = _scale((quote.bid + quote.ask) / 2, decimals)
    packet = struct.pack(">II", listing.token, last)
    if mode == "ltp":
        return packet
    prices = [last] * 4
    if listing.kind == "INDEX":
        packet += struct.pack(">IIIII", *prices, 0)
        return packet if mode == "quote" else packet + struct.pack(">I", int(at.timestamp()))
    packet += struct.pack(">IIIIIIIII", 1, last, 1, 1, 1, *prices)
    if mode == "quote":
        return packet
    packet += struct.pack(">IIIII", int(at.timestamp()), 0, 0, 0, int(at.timestamp()))
    bids = [(quote.bid, quote.bid_size), *[(ZERO, ZERO)] * 4]
    asks = [(quote.ask, quote.ask_size), *[(ZERO, ZERO)] * 4]
    levels = (
        struct.pack(">IIHH", min(int(size), _LARGEST), _scale(price, decimals), 1, 0)
        for price, size in (*bids, *asks)
    )
    return packet + b"".join(levels)


def _scale(price: Decimal, decimals: int) -> int:
    return int(price.scaleb(decimals))
