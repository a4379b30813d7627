"""Our order ids as Kite's tags, which have at most 20 letters and digits.

An order id (`O`, 13 digits of time, 12 hexadecimal ones) has 26 characters. Its digits in base 36 have 19, so
that a tag is the id and needs no table. A tag does not keep Kite from taking an order twice.
"""

import hashlib
import re

TAG_LENGTH = 20
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TIME_LENGTH, _REST_LENGTH = 9, 10
_ORDER_ID = re.compile(r"O([0-9]{13})([0-9a-f]{12})", re.ASCII)
_TAG = re.compile(rf"O([0-9A-Z]{{{_TIME_LENGTH}}})([0-9A-Z]{{{_REST_LENGTH}}})", re.ASCII)
_TIME_LIMIT, _REST_LIMIT = 10**13, 16**12


def build_tag(order_id: str) -> str:
    """Return the tag of an order. An id of another form gets a hash, which cannot be parsed."""
    match = _ORDER_ID.fullmatch(order_id)
    if match is None:
        return f"X{hashlib.sha256(order_id.encode()).hexdigest()[: TAG_LENGTH - 1].upper()}"
    milliseconds, suffix = int(match[1]), int(match[2], 16)
    return f"O{_format(milliseconds, _TIME_LENGTH)}{_format(suffix, _REST_LENGTH)}"


def parse_tag(tag: str) -> str | None:
    """Return the order id of a tag, or None if the tag is not one of ours."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    milliseconds, suffix = int(match[1], 36), int(match[2], 36)
    if milliseconds >= _TIME_LIMIT or suffix >= _REST_LIMIT:
        return None
    return f"O{milliseconds:013d}{suffix:012x}"


def _format(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text
