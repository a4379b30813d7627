"""The connection to another worker process, over which requests are forwarded to it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from typing_extensions import override

from app.forwarding.frames import (
    FrameReader,
    InvalidForwardedFrame,
    ResponseFrame,
    decode_response,
    encode_request,
)

RESPONSE_TIMEOUT_SECONDS = 16.0  # more than the writer's own limit, after which it answers itself
MAX_SILENCE_SECONDS = 3.0  # after which a worker that was asked for a reply counts as hung
# An empty frame. A worker that accepts requests sends it first, and as the reply to one.
READY_FRAME = b"\x00\x00\x00\x00"
# A request that follows others waits so long for more of them. One write then serves several.
GATHER_SECONDS = 0.001
MAX_GATHERED_FRAMES = 16
_CHECK_SECONDS = 1.0
_MAX_BUFFER_BYTES = 1_000_000
_LOG = logging.getLogger(__name__)


class Handlers(NamedTuple):
    """The callbacks for the result of a forwarded request.

    `lost` is called if the connection ends before the response, when the outcome is unknown.
    """

    answered: Callable[[ResponseFrame], None]
    lost: Callable[[], None]


class _PendingRequest(NamedTuple):
    handlers: Handlers
    sent_at: float  # a time of the event loop


class PeerConnection(asyncio.Protocol):
    """A connection to the worker of another slot.

    A request is sent at the end of the event loop's iteration if the other worker has none. Further requests
    are gathered for GATHER_SECONDS: that worker is writing, and reads them after its commit.
    """

    def __init__(self) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._is_ready = False
        self._number = 0
        self._pending_requests: dict[int, _PendingRequest] = {}
        self._unsent: list[bytes] = []
        self._check: asyncio.TimerHandle | None = None
        self._ping_sent_at: float | None = None  # when it was asked for a reply, if nothing has arrived since

    @property
    def is_ready(self) -> bool:
        """Whether the other worker accepts requests and keeps up with them."""
        transport = self._transport
        return (
            self._is_ready and transport is not None and transport.get_write_buffer_size() < _MAX_BUFFER_BYTES
        )

    def send(
        self, method: str, path: str, address: str, headers: Mapping[bytes, bytes], body: bytes,
        handlers: Handlers,
    ) -> bool:  # fmt: skip
        """Forward a request. Return False if it cannot be forwarded."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        frame = encode_request(self._number, method, path, address, headers, body)
        if frame is None:
            return False
        self._pending_requests[self._number] = _PendingRequest(handlers, self._loop.time())
        self._send_soon(frame)
        if self._check is None:
            self._check = self._loop.call_later(_CHECK_SECONDS, self._check_worker)
        return True

    def _send_soon(self, frame: bytes) -> None:
        """Send a frame soon, together with the frames after it."""
        self._unsent.append(frame)
        count = len(self._unsent)
        if count == MAX_GATHERED_FRAMES or len(self._pending_requests) == 1:
            self._loop.call_soon(self._flush_frames)
        elif count == 1:
            self._loop.call_later(GATHER_SECONDS, self._flush_frames)

    def _flush_frames(self) -> None:
        frames, self._unsent = self._unsent, []
        if frames and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(frames))

    def _check_worker(self) -> None:
        """Close the connection if the worker is silent, or did not answer a request. Else ask for a reply.

        The silence begins with the question, because an earlier pause may be one of this process.
        """
        self._check = None
        if not self._pending_requests:
            return
        since = next(iter(self._pending_requests.values())).sent_at
        now = self._loop.time()
        if self._ping_sent_at is None:
            self._ping_sent_at = now
        if now - self._ping_sent_at > MAX_SILENCE_SECONDS or now - since > RESPONSE_TIMEOUT_SECONDS:
            _LOG.error("a worker process does not answer")
            self.close()
            return
        self._check = self._loop.call_later(_CHECK_SECONDS, self._check_worker)
        if self._transport is not None:
            self._transport.write(READY_FRAME)

    def close(self) -> None:
        """Close the connection. Pending requests are lost."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._ping_sent_at = None
        try:
            for frame in self._reader.feed(data):
                if frame == READY_FRAME:
                    self._is_ready = True
                else:
                    self._resolve_request(decode_response(frame))
        except InvalidForwardedFrame:
            _LOG.exception("a worker process sent an invalid frame")
            self.close()

    def _resolve_request(self, response: ResponseFrame) -> None:
        request = self._pending_requests.pop(response.number, None)
        if request is not None:
            request.handlers.answered(response)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ready = False
        lost_requests, self._pending_requests = self._pending_requests, {}
        for request in lost_requests.values():
            request.handlers.lost()
        if not self.closed.done():
            self.closed.set_result(None)
