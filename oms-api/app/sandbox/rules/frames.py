"""Frames between the service and a child: a kind, fields as JSON, and a binary body.

A frame is the lengths of its two parts as 32-bit integers, a JSON array `[kind, fields]`, and the body.
Nothing in it can run code. Frames of a child are not trusted: their size, form and numbers are checked.
"""

import json
import struct
from typing import Any, NamedTuple, NoReturn

from app.sandbox.errors import InvalidFrame

HEADER = struct.Struct("<II")


class Frame(NamedTuple):
    """A message."""

    kind: str
    fields: dict[str, Any]
    body: bytes = b""


class FrameLengths(NamedTuple):
    """The lengths of the two parts of a frame in bytes."""

    fields: int
    body: int


def pack_frame(frame: Frame) -> bytes:
    """Return a frame as bytes."""
    text = json.dumps([frame.kind, frame.fields], separators=(",", ":")).encode()
    return b"".join((HEADER.pack(len(text), len(frame.body)), text, frame.body))


def parse_lengths(header: bytes, max_bytes: int) -> FrameLengths:
    """Return the lengths of a frame. Raises InvalidFrame if it is larger than `max_bytes`."""
    lengths = FrameLengths(*HEADER.unpack(header))
    if sum(lengths) > max_bytes:
        raise InvalidFrame(
            f"The strategy process sent {sum(lengths)} bytes at once; at most {max_bytes} are allowed."
        )
    return lengths


def parse_frame(text: bytes, body: bytes) -> Frame:
    """Return the frame of its two parts. Raises InvalidFrame."""
    try:
        parts = json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise InvalidFrame("The strategy process sent a message that is not JSON.") from None
    if not (isinstance(parts, list) and len(parts) == 2):
        raise InvalidFrame("The strategy process sent an invalid message.")
    kind, fields = parts
    if not (isinstance(kind, str) and isinstance(fields, dict)):
        raise InvalidFrame("The strategy process sent an invalid message.")
    return Frame(kind, fields, body)


def _reject_constant(text: str) -> NoReturn:
    raise ValueError(text)
