"""uvicorn's HTTP protocol, with limits on incomplete requests and a fast path for direct routes.

uvicorn's own parser reads headers of any size and waits for them without a timeout.
"""

import asyncio
import socket
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.http.direct_routes import DirectRequest, get_direct_headers
from app.http_server.buffered_transport import BufferedTransport

if TYPE_CHECKING:  # imported before the application in worker processes
    from app.http_server.request_middleware import RequestMiddleware

MAX_HEAD_BYTES = 64 * 1024
STREAM_SUFFIX = "/stream"  # paths with this suffix stream without end
HEAD_SECONDS = 10.0
WRITE_SECONDS = 30.0
MAX_WEBSOCKET_MESSAGE_BYTES = 65_536  # the largest message of a client, in bytes
WEBSOCKET_SEND_BUFFER_BYTES = 65_536
HANDOVER_SECONDS = 0.05  # a direct route waits this long for the rest of a body; then ASGI takes over
_FIELD_OVERHEAD = len(": \r\n")
_EMPTY_RESPONSE_END = b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_HEAD_TOO_LARGE_RESPONSE = b"HTTP/1.1 431 Request Header Fields Too Large" + _EMPTY_RESPONSE_END
_TIMEOUT_RESPONSE = b"HTTP/1.1 408 Request Timeout" + _EMPTY_RESPONSE_END
_BAD_REQUEST_RESPONSE = b"HTTP/1.1 400 Bad Request" + _EMPTY_RESPONSE_END


class _HeadRefused(Exception):
    """Raised when the parser rejects a request head. The protocol object holds the response."""


class _DiscardedTrailers(list[Any]):
    """Discards the trailer fields after a body.

    Nothing reads them, and they must not be added to the headers.
    """

    @override
    def append(self, _: object) -> None:
        pass


_DISCARDED_TRAILERS = _DiscardedTrailers()


class LimitedHttpProtocol(HttpToolsProtocol):
    """An HTTP protocol that closes connections of slow or oversized requests.

    It closes a connection if the request line and headers exceed MAX_HEAD_BYTES bytes, or are not complete
    `head_seconds` after the connection opened or they began, or if the body continues `body_seconds` after
    its response. It aborts a connection to which nothing could be sent for `write_seconds`, because the
    client does not read.

    A complete request always gets its response. Input that cannot be parsed closes the connection after that
    response.

    It calls the direct routes of the application's `request_middleware`; see `http.direct_routes`. It removes
    uvicorn's middleware for proxy headers, because the application has its own list of trusted proxies.
    """

    head_seconds = HEAD_SECONDS
    body_seconds = HEAD_SECONDS
    write_seconds = WRITE_SECONDS
    _head_bytes = 0
    _in_head = True
    _in_message = False
    _message_count = 0
    _field_bytes = 0
    _host_count = 0
    _refusal_response = _BAD_REQUEST_RESPONSE
    _is_ending = False
    _is_upgraded = False
    _last_complete_cycle: RequestResponseCycle | None = None
    _deadline: float | None = None  # in the time of the event loop
    _deadline_timer: asyncio.TimerHandle | None = None
    _write_deadline: asyncio.TimerHandle | None = None
    _request_middleware: "RequestMiddleware | None" = None
    _pending_direct_request: DirectRequest | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own signature
        super().connection_made(transport)
        if isinstance(self.app, ProxyHeadersMiddleware):
            self.app = self.app.app
        self._request_middleware = getattr(self.app, "request_middleware", None)
        self._buffer = BufferedTransport(transport, self.loop, self.write_seconds)
        self.transport = self._buffer  # type: ignore[assignment]  # has its interface
        self._set_timeout(self.head_seconds)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timeout(None)
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
            self._deadline_timer = None
        self._stop_write_deadline()
        self._pending_direct_request = None
        super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_deadline is None:
            self._write_deadline = self.loop.call_later(self.write_seconds, self.transport.abort)

    @override
    def resume_writing(self) -> None:
        self._stop_write_deadline()
        super().resume_writing()

    def _stop_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return  # stop reading: send the pending responses, then close the connection
        messages = self._message_count
        super().data_received(data)
        if self._is_upgraded:
            return
        # It is unknown how much of this chunk belongs to a message that began in it: count from the next
        # chunk.
        continues_head = self._in_head and self._message_count == messages
        self._head_bytes = self._head_bytes + len(data) if continues_head else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_connection(_HEAD_TOO_LARGE_RESPONSE)
        if self._in_head or self._is_idle:
            if self._deadline is None:
                self._set_timeout(self.head_seconds)
        elif self._deadline is not None and not self._is_response_complete:
            self._set_timeout(None)
        if self._pending_direct_request is not None and not self._pending_direct_request.is_timed:
            self._pending_direct_request.is_timed = True
            self.loop.call_later(HANDOVER_SECONDS, self._start_application, self._pending_direct_request)

    @override
    def on_message_begin(self) -> None:
        self._in_head = self._in_message = True
        self._message_count += 1
        self._field_bytes = self._host_count = 0
        super().on_message_begin()

    @override
    def on_url(self, url: bytes) -> None:
        self._field_bytes += len(url)
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._field_bytes += len(name) + len(value) + _FIELD_OVERHEAD
        if name == b"host":
            self._host_count += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    @override
    def on_headers_complete(self) -> None:
        if self._field_bytes > MAX_HEAD_BYTES:
            self._refusal_response = _HEAD_TOO_LARGE_RESPONSE
            raise _HeadRefused
        if self._host_count > 1 or (self._host_count == 0 and self.parser.get_http_version() == "1.1"):
            raise _HeadRefused
        self._in_head = False
        super().on_headers_complete()
        if not self.parser.should_upgrade():  # uvicorn reads the headers again in that case
            self.headers = _DISCARDED_TRAILERS

    @override
    def on_message_complete(self) -> None:
        self._in_message = False
        self._last_complete_cycle = self.cycle
        super().on_message_complete()
        if self._pending_direct_request is not None and self._pending_direct_request.exchange is self.cycle:
            self._start_direct_request(self._pending_direct_request)

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start to serve a request. A direct request is served when its body is complete."""
        direct_request = self._find_direct_request(cycle) if app is self.app else None
        if direct_request is None:
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._pending_direct_request = direct_request
        else:  # it waited for the response to an earlier request of the connection
            self._start_direct_request(direct_request)

    def _find_direct_request(self, cycle: RequestResponseCycle) -> DirectRequest | None:
        scope: Any = cycle.scope
        route = (
            None
            if self._request_middleware is None
            else self._request_middleware.direct_routes.get((scope["method"], scope["path"]))
        )
        if route is None or scope["query_string"] or self.flow.write_paused:
            return None
        headers = get_direct_headers(scope["headers"])
        if headers is None:
            return None
        decline = partial(super()._start_asgi_task, cycle, self.app)
        return DirectRequest(route, cycle, headers, self.send_response, decline)

    def _start_direct_request(self, direct_request: DirectRequest) -> None:
        self._pending_direct_request = None
        if self._request_middleware is None:
            direct_request.decline()
        else:
            self._request_middleware.start_direct_request(direct_request)

    def _start_application(self, direct_request: DirectRequest) -> None:
        """Let the ASGI application wait for the rest of a body. It has a timeout for it."""
        if self._pending_direct_request is direct_request:
            self._pending_direct_request = None
            direct_request.decline()

    def send_response(self, cycle: RequestResponseCycle, status: int, fields: bytes, body: bytes) -> None:
        """Send a whole response in one write, with these header fields and the server's."""
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        defaults = _format_default_fields(tuple(self.server_state.default_headers))
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        self._buffer.write_now(b"".join((STATUS_LINE[status], defaults, fields, close, b"\r\n", body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_response_complete and not self._in_head:
            self._set_timeout(self.body_seconds)

    @override
    def handle_websocket_upgrade(self) -> None:
        """Let uvicorn's WebSocket protocol continue, with small buffers and without compression.

        A URL with a query string is refused: the query may contain a key, which uvicorn would log.
        """
        if b"?" in self.url or not self._is_free:
            self._refuse_connection(_BAD_REQUEST_RESPONSE)
            return
        self._is_upgraded = True
        self._set_timeout(None)
        self.config.ws_max_size = MAX_WEBSOCKET_MESSAGE_BYTES
        self.config.ws_per_message_deflate = False
        connection: socket.socket | None = self.transport.get_extra_info("socket")
        if connection is not None:
            # The system would grow the buffer to megabytes, which delays the write timeout of slow clients.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WEBSOCKET_SEND_BUFFER_BYTES)
        super().handle_websocket_upgrade()

    @override
    def send_400_response(self, msg: str) -> None:
        is_stray = self._message_count > 1 and not (self._in_message and self.url)
        self._refuse_connection(b"" if is_stray else self._refusal_response)

    def _refuse_connection(self, response: bytes) -> None:
        """Stop reading. Complete requests get their responses, then the connection closes.

        Send `response` if no response is pending.
        """
        if self._is_ending or self.transport.is_closing():
            return
        self._is_ending = True
        self._pending_direct_request = None
        self._set_timeout(None)
        pending_response = self._last_complete_cycle
        if pending_response is not None and not pending_response.response_complete:
            if self.pipeline and self.pipeline[0][0] is not pending_response:
                self.pipeline.popleft()  # its body was cut off, and it is still queued
            pending_response.keep_alive = False  # the connection closes after this response
            return
        is_half_answered = self._in_message and not self._in_head and self.cycle.response_started
        if response and not is_half_answered:
            self.transport.write(response)
        self.transport.close()

    @override
    def shutdown(self) -> None:
        super().shutdown()
        if self.cycle is not None and self.cycle.scope["path"].endswith(STREAM_SUFFIX):
            self.transport.close()  # clients reconnect to a server that keeps running

    @property
    def _is_response_complete(self) -> bool:
        """Return whether the response is complete while the body continues."""
        return self._in_message and self._is_free

    @property
    def _is_idle(self) -> bool:
        """Return whether no request is in progress.

        uvicorn's own timeout ends with the first byte, even of a blank line.
        """
        return not self._in_message and self._is_free

    @property
    def _is_free(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _set_timeout(self, seconds: float | None) -> None:
        """Set the timeout after which the connection closes, or remove it.

        A timer that fires before it starts again. To cancel and create one takes longer, and every request
        sets a timeout.
        """
        self._deadline = None if seconds is None else self.loop.time() + seconds
        timer = self._deadline_timer
        if self._deadline is not None and (timer is None or timer.when() > self._deadline):
            if timer is not None:
                timer.cancel()
            self._deadline_timer = self.loop.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        self._deadline_timer = None
        if self._deadline is None:
            return
        if self._deadline > self.loop.time():
            self._deadline_timer = self.loop.call_at(self._deadline, self._check_deadline)
        else:
            self._refuse_late_request()

    def _refuse_late_request(self) -> None:
        self._refuse_connection(_TIMEOUT_RESPONSE if self._in_head and self._in_message else b"")


@lru_cache(maxsize=1)  # the date changes every second
def _format_default_fields(fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in fields])


def install_http_protocol() -> None:
    """Make uvicorn use LimitedHttpProtocol even if another program starts it.

    uvicorn chooses its protocol class before it loads the application. Therefore that class itself is changed
    to create a LimitedHttpProtocol.
    """

    def create(cls: type[HttpToolsProtocol], *_: object, **__: object) -> HttpToolsProtocol:
        return object.__new__(LimitedHttpProtocol if cls is HttpToolsProtocol else cls)

    HttpToolsProtocol.__new__ = create  # type: ignore[method-assign,assignment]  # the class defines none


def set_timeouts(head_seconds: float, body_seconds: float, write_seconds: float = WRITE_SECONDS) -> None:
    """Set the timeouts of all connections of this process. Each worker process sets its own."""
    LimitedHttpProtocol.head_seconds, LimitedHttpProtocol.body_seconds = head_seconds, body_seconds
    LimitedHttpProtocol.write_seconds = write_seconds
