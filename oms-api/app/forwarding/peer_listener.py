"""Serves the requests that other worker processes forward to this one."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from app.forwarding.frames import (
    DECLINED_STATUS,
    FrameReader,
    InvalidForwardedFrame,
    RequestFrame,
    ResponseFrame,
    decode_request,
    encode_response,
)
from app.forwarding.peer_connection import READY_FRAME

ServeExchange = Callable[["ForwardedExchange"], None]
_LOG = logging.getLogger(__name__)


class ForwardedExchange:
    """A forwarded request and its response, with the interface of uvicorn's object for them."""

    def __init__(self, listener: "ListenerProtocol", frame: RequestFrame) -> None:
        self._listener = listener
        self._number = frame.number
        self._status = 0
        self._fields = b""
        self._parts: list[bytes] = []
        self.disconnected = False
        self.body = frame.body
        self.headers = frame.headers
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": None,
            "client": (frame.address, 0) if frame.address else None,
            "scheme": "http",
            "root_path": "",
            "state": {},
            "method": frame.method,
            "path": frame.path,
            "raw_path": frame.path.encode(),
            "query_string": b"",
            "headers": list(frame.headers.items()),
        }
        self._is_read = False

    def respond(self, _: object, status: int, fields: bytes, body: bytes) -> None:
        """Send the whole response to the other worker."""
        self._listener.send(ResponseFrame(self._number, status, fields, body))

    async def receive(self) -> dict[str, Any]:
        """Return the body once, then wait until the request is canceled. The ASGI application calls it."""
        if self._is_read:
            await asyncio.get_running_loop().create_future()
        self._is_read = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: Any) -> None:  # an ASGI message
        """Collect the response of the ASGI application, and send it when it is complete."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = message.get("headers", ())
            self._fields = b"".join([b"%b: %b\r\n" % (name.lower(), value) for name, value in headers])
            return
        self._parts.append(message.get("body", b""))
        if not message.get("more_body"):
            self.respond(None, self._status, self._fields, b"".join(self._parts))


class ListenerProtocol(asyncio.Protocol):
    """The connection of another worker.

    Responses of one iteration of the event loop are sent together.
    """

    def __init__(self, listener: "PeerListener") -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._unsent: list[bytes] = []

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        self._transport = transport
        self._listener.connections.add(self)
        transport.write(READY_FRAME)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.connections.discard(self)

    @override
    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                if frame == READY_FRAME:
                    self._send_frame(READY_FRAME)
                else:
                    self._listener.serve(self, decode_request(frame))
        except InvalidForwardedFrame:
            _LOG.exception("a worker process sent an invalid frame")
            self.close()

    def send(self, response: ResponseFrame) -> None:
        """Send a response."""
        self._listener.count_response()
        self._send_frame(encode_response(response))

    def decline(self, number: int) -> None:
        """Decline the request of this number."""
        self._send_frame(encode_response(ResponseFrame(number, DECLINED_STATUS, b"", b"")))

    def _send_frame(self, frame: bytes) -> None:
        """Send a frame at the end of the event loop's iteration."""
        if not self._unsent:
            self._loop.call_soon(self._flush_frames)
        self._unsent.append(frame)

    def _flush_frames(self) -> None:
        frames, self._unsent = self._unsent, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(frames))

    def close(self) -> None:
        """Close the connection after everything is sent."""
        if self._transport is not None:
            self._transport.close()


class PeerListener:
    """Listens on the socket of this worker's slot. `serve_request` starts to serve a request."""

    def __init__(self, serve_request: ServeExchange) -> None:
        self.connections: set[ListenerProtocol] = set()
        self._serve_request = serve_request
        self._server: asyncio.Server | None = None
        self._pending_count = 0
        self._is_closing = False
        self._idle = asyncio.Event()

    async def start(self, path: str) -> None:
        """Listen on the socket. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: ListenerProtocol(self), path)

    def serve(self, protocol: ListenerProtocol, frame: RequestFrame) -> None:
        """Serve a request, or decline it because the worker is stopping."""
        if self._is_closing:
            protocol.decline(frame.number)
            return
        self._pending_count += 1
        self._serve_request(ForwardedExchange(protocol, frame))

    def count_response(self) -> None:
        """Count a response, so that `close` knows when all are sent."""
        self._pending_count -= 1
        if self._is_closing and self._pending_count <= 0:
            self._idle.set()

    async def close(self, seconds: float) -> None:
        """Decline new requests, wait up to `seconds` for the responses of the others, and close."""
        self._is_closing = True
        if self._server is not None:
            self._server.close()
        if self._pending_count > 0:
            try:
                await asyncio.wait_for(self._idle.wait(), seconds)
            except TimeoutError:
                _LOG.warning("stopped before all forwarded requests had a response")
        await asyncio.sleep(0)  # send the last responses
        for connection in tuple(self.connections):
            connection.close()
