"""Send HTTP requests to the OMS over connections that are kept open and shared by all threads.

It replaces a general HTTP client: each form, each option and each message needs calls, and this one takes a
fifth of the processor time.
"""

import base64
import http.client
import json
import select
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from app.config import is_loopback
from app.request_priority import run_outside

MAX_IDLE = 64
PIECE_BYTES = 65_536
FAILURES = (OSError, http.client.HTTPException)


class HttpError(Exception):
    """Raised when the request was sent, or a part of it, and there is no complete response."""


class RequestNotSent(HttpError):
    """Raised when there is no connection: nothing was sent."""


@dataclass(frozen=True)
class HttpResponse:
    """A complete response."""

    status_code: int
    headers: http.client.HTTPMessage
    content: bytes

    def json(self) -> Any:
        """Return the parsed body. Raises ValueError."""
        return json.loads(self.content)


class Connections:
    """Open connections to one server. The proxy of the environment applies, except on this machine."""

    def __init__(self, base_url: str, headers: Mapping[str, str], connect_seconds: float):
        parts = urlsplit(base_url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._headers = dict(headers)
        self._connect_seconds = connect_seconds
        self._proxy = "" if is_loopback(base_url) else _find_proxy(parts.scheme, self._host)
        self._context = ssl.create_default_context() if self._is_secure else None
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._is_closed = False
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> HttpResponse:
        """Send a request. Return the response. A wait for data ends after `seconds`. Raises `HttpError`."""
        target = f"{path}?{urlencode(params)}" if params else path
        with (
            run_outside(),
            self._open_response(method, target, dict(headers or {}), body, seconds) as response,
        ):
            return HttpResponse(response.status, response.headers, response.read())

    def download(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str], *, seconds: float, limit: int
    ) -> HttpResponse | None:
        """Return a large response, None if it is larger than `limit` bytes. Raises `HttpError`."""
        content = bytearray()
        target = f"{path}?{urlencode(params)}"
        with run_outside(), self._open_response("GET", target, dict(headers), None, seconds) as response:
            while piece := response.read(PIECE_BYTES):
                content += piece
                if len(content) > limit:
                    return None
            return HttpResponse(response.status, response.headers, bytes(content))

    def close(self) -> None:
        """Close the idle connections at once, and the others after their response."""
        with self._lock:
            idle = self._idle
            self._idle = deque()
            self._is_closed = True
        for connection in idle:
            connection.close()

    @contextmanager
    def _open_response(
        self, method: str, target: str, headers: dict[str, str], body: Any, seconds: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Provide the response. Its connection is kept if the response was read to the end."""
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        extra = {} if content is None else {"Content-Type": "application/json"}
        connection, response = self._send_once(method, target, headers | extra, content, seconds)
        try:
            yield response
        except FAILURES as error:
            raise HttpError(type(error).__name__) from None
        finally:
            self._release_connection(connection, is_reusable=response.isclosed() and not response.will_close)

    def _send_once(
        self, method: str, target: str, headers: dict[str, str], content: bytes | None, seconds: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send a request once."""
        connection = self._find_idle_connection() or self._open_connection()
        try:
            return connection, self._send_request(connection, method, target, headers, content, seconds)
        except FAILURES as error:
            connection.close()
            raise HttpError(type(error).__name__) from None
        except ValueError:  # such as a header that cannot be sent
            connection.close()
            raise

    def _send_request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: dict[str, str],
        content: bytes | None,
        seconds: float,
    ) -> http.client.HTTPResponse:
        connection.sock.settimeout(seconds)
        is_plain_proxy = self._proxy and not self._is_secure
        url = f"{self._origin if is_plain_proxy else ''}{self._prefix}{target}"
        connection.request(method, url, content, self._headers | headers)
        return connection.getresponse()

    def _find_idle_connection(self) -> http.client.HTTPConnection | None:
        """Return an idle connection that the server has not closed, the newest first."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or not _is_closed_by_server(connection):
                return connection
            connection.close()

    def _release_connection(self, connection: http.client.HTTPConnection, *, is_reusable: bool) -> None:
        with self._lock:
            if is_reusable and not self._is_closed and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _open_connection(self) -> http.client.HTTPConnection:
        proxy = urlsplit(self._proxy)
        host, port = (proxy.hostname or "", proxy.port or 80) if self._proxy else (self._host, self._port)
        if self._is_secure:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=self._connect_seconds, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._connect_seconds)
        if self._proxy and self._is_secure:
            connection.set_tunnel(self._host, self._port, _build_proxy_headers(self._proxy))
        try:
            connection.connect()
        except FAILURES as error:
            connection.close()
            raise RequestNotSent(type(error).__name__) from None
        return connection


def _is_closed_by_server(connection: http.client.HTTPConnection) -> bool:
    """Return whether the server closed an idle connection. An open one has nothing to read."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _find_proxy(scheme: str, host: str) -> str:
    return "" if proxy_bypass(host) else getproxies().get(scheme, "")


def _build_proxy_headers(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
