"""The messages between worker processes: length-prefixed frames with the number of their request."""

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

MAX_FRAME_BYTES = 4_000_000
DECLINED_STATUS = 0  # as the status of a response: the worker is stopping and did not start the request
_LENGTH_STRUCT = struct.Struct(">I")
_REQUEST_STRUCT = struct.Struct(">III")  # length, number, length of the head
_RESPONSE_STRUCT = struct.Struct(">IIHI")  # length, number, status, length of the header fields


class InvalidForwardedFrame(Exception):
    """Raised when a frame cannot be decoded."""


class RequestFrame(NamedTuple):
    """A forwarded request. `address` is that of the connection, `headers` have names in lower case."""

    number: int
    method: str
    path: str
    address: str
    headers: dict[bytes, bytes]
    body: bytes


class ResponseFrame(NamedTuple):
    """The response to the request of this number. `fields` are the header fields as they are sent."""

    number: int
    status: int
    fields: bytes
    body: bytes


def encode_request(
    number: int, method: str, path: str, address: str, headers: Mapping[bytes, bytes], body: bytes
) -> bytes | None:
    """Return the frame of a request, or None if a line feed in it would change its meaning."""
    parts = [method.encode(), path.encode(), address.encode()]
    for field in headers.items():
        parts += field
    head = b"\n".join(parts)
    if head.count(b"\n") != len(parts) - 1:
        return None
    length = _REQUEST_STRUCT.size - _LENGTH_STRUCT.size + len(head) + len(body)
    return _REQUEST_STRUCT.pack(length, number, len(head)) + head + body


def decode_request(frame: bytes) -> RequestFrame:
    """Return the request in a frame. Raises InvalidForwardedFrame."""
    try:
        _, number, head_length = _REQUEST_STRUCT.unpack_from(frame)
        end = _REQUEST_STRUCT.size + head_length
        method, path, address, *fields = frame[_REQUEST_STRUCT.size : end].split(b"\n")
        headers = dict(zip(fields[::2], fields[1::2], strict=True))
        return RequestFrame(number, method.decode(), path.decode(), address.decode(), headers, frame[end:])
    except (struct.error, ValueError) as error:
        raise InvalidForwardedFrame from error


def encode_response(response: ResponseFrame) -> bytes:
    """Return the frame of a response."""
    number, status, fields, body = response
    length = _RESPONSE_STRUCT.size - _LENGTH_STRUCT.size + len(fields) + len(body)
    return _RESPONSE_STRUCT.pack(length, number, status, len(fields)) + fields + body


def decode_response(frame: bytes) -> ResponseFrame:
    """Return the response in a frame. Raises InvalidForwardedFrame."""
    try:
        _, number, status, fields_length = _RESPONSE_STRUCT.unpack_from(frame)
    except struct.error as error:
        raise InvalidForwardedFrame from error
    end = _RESPONSE_STRUCT.size + fields_length
    return ResponseFrame(number, status, frame[_RESPONSE_STRUCT.size : end], frame[end:])


class FrameReader:
    """Splits received data into frames."""

    def __init__(self) -> None:
        self._incomplete_frame = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Return the frames that `chunk` completes. Raises InvalidForwardedFrame if a frame is too long."""
        chunk = self._incomplete_frame + chunk if self._incomplete_frame else chunk
        start = 0
        while len(chunk) - start >= _LENGTH_STRUCT.size:
            length = _LENGTH_STRUCT.unpack_from(chunk, start)[0]
            if length > MAX_FRAME_BYTES:
                raise InvalidForwardedFrame
            end = start + _LENGTH_STRUCT.size + length
            if end > len(chunk):
                break
            yield chunk[start:end]
            start = end
        self._incomplete_frame = chunk[start:]
