"""The body of an HTTP request: read as a whole, within a size limit and a timeout."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from app.errors import TooLarge, TooSlow, UnsupportedMediaType
from app.http_server.deadline import Deadline

AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]

MAX_BODY_BYTES = 1_000_000


class Disconnected(Exception):
    """Raised when the client disconnected before its request was complete."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, deadline: Deadline) -> bytes:
    """Read the whole body. Reject a body that is too large, without reading the rest, or too late."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared[:20]) > MAX_BODY_BYTES:
        raise _build_size_error()
    if declared == b"0" and b"transfer-encoding" not in headers:
        return b""
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("Send the body as it is, without Content-Encoding.")
    try:
        body = await deadline.wait_for(_receive_whole_body(receive))
    except TimeoutError:
        raise _build_slow_error(deadline.seconds) from None
    if len(body) > MAX_BODY_BYTES:
        raise _build_size_error()
    return body


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that yields the body once, and then the disconnect, which ends a stream."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> AsgiMessage:
        if messages:
            return messages.pop()
        while (message := await receive())["type"] != "http.disconnect":
            pass  # discard the rest of a body that was read or rejected
        return message

    return replay


async def _receive_whole_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message["type"] == "http.request" and message.get("more_body") and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise Disconnected
    return body


def _build_slow_error(seconds: float) -> TooSlow:
    error = TooSlow(f"Send the whole body within {seconds:g} seconds.")
    error.headers = {"connection": "close"}
    return error


def _build_size_error() -> TooLarge:
    return TooLarge(f"A body has at most {MAX_BODY_BYTES:,} bytes; send less.")
