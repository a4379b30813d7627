"""A broker's WebSocket, received in a separate thread, which connects again until it is closed.

Brokers replay nothing after a reconnect, and a connection can be open and silent. So the listener is called
after every login, to read again the events that were missed, and regularly while the connection is quiet.
"""

import json
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, Protocol

from typing_extensions import override
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, reconnect

from app.brokers.errors import BrokerUnavailable
from app.brokers.rules.order_reports import MalformedResponse
from app.clock import monotonic_seconds

HANDSHAKE_TIMEOUT_SECONDS = 5.0
QUIET_PERIOD_SECONDS = 1.0
PING_INTERVAL_SECONDS, PONG_TIMEOUT_SECONDS = 10.0, 5.0
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 30.0
MAX_FRAME_BYTES = 1024 * 1024
_LOG = logging.getLogger(__name__)
_FRAME_LOG = logging.getLogger(f"{__name__}.frames")
_FRAME_LOG.setLevel(logging.WARNING)  # at a lower level the library would log the credentials


class StreamRefused(Exception):
    """Raised when the broker refused the login, or did not follow its protocol."""


_EXPECTED = (OSError, WebSocketException, StreamRefused, MalformedResponse, BrokerUnavailable)


class _ConnectDirectly(reconnect):
    """Opens a connection without following redirects: the login must not reach another address."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class StreamListener(Protocol):
    """The callbacks of a stream, called in its thread."""

    def synchronize(self) -> None:
        """Read again the events that happened while the stream was down. Called after each login."""

    def check_silence(self) -> None:
        """Read changes that the stream did not report. Called while the stream is quiet."""


class BrokerStream(ABC):
    """Receives the stream of the broker `label`.

    `is_ready` is set while it is logged in and the listener is synchronized. With `max_silence_seconds` it
    connects again if no frame, not even a heartbeat, arrives for so long.
    """

    max_silence_seconds: float | None = None

    def __init__(
        self, label: str, listener: StreamListener, clock: Callable[[], float] = monotonic_seconds
    ) -> None:
        self.label, self._listener, self._clock = label, listener, clock
        self.is_ready = threading.Event()
        self.last_error: str | None = None
        self.connections = 0
        self._stop = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @abstractmethod
    def build_url(self) -> str:
        """Return the address to connect to."""

    @abstractmethod
    def log_in(self, socket: ClientConnection) -> None:
        """Authenticate and subscribe. Raises StreamRefused."""

    @abstractmethod
    def receive_frame(self, frame: str | bytes) -> None:
        """Process a frame."""

    def describe_error(self, error: Exception) -> str:
        """Return why the stream is down, without any credential."""
        if isinstance(error, InvalidStatus):
            return f"{self.label} answered {error.response.status_code} instead of opening its stream."
        is_explained = isinstance(error, StreamRefused | BrokerUnavailable)
        return str(error) if is_explained else type(error).__name__

    def start(self) -> None:
        """Start the thread, once."""
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                name = f"{self.label.lower()}-stream"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Close the connection and stop the thread."""
        self._stop.set()
        self.reconnect()
        if self._thread is not None:
            self._thread.join()

    def reconnect(self) -> None:
        """Drop the connection. The thread opens another one."""
        socket = self._socket
        if socket is not None:
            with suppress(OSError, WebSocketException):
                socket.close()

    def _run(self) -> None:
        pause = MIN_PAUSE_SECONDS
        while not self._stop.is_set():
            connections = self.connections
            try:
                self._receive_until_closed()
            except _EXPECTED as error:
                self._record_error(error)
            except Exception as error:  # noqa: BLE001  # the thread must go on after any failure
                self._record_error(error)
                _LOG.exception("the stream of %s failed", self.label)
            finally:
                self.is_ready.clear()
            pause = MIN_PAUSE_SECONDS if self.connections > connections else min(pause * 2, MAX_PAUSE_SECONDS)
            self._stop.wait(pause)

    def _record_error(self, error: Exception) -> None:
        self.last_error = self.describe_error(error)
        if not self._stop.is_set():
            _LOG.warning("the stream of %s is down: %s", self.label, self.last_error)

    def _receive_until_closed(self) -> None:
        with _ConnectDirectly(
            self.build_url(),
            open_timeout=HANDSHAKE_TIMEOUT_SECONDS,
            close_timeout=1.0,
            ping_interval=PING_INTERVAL_SECONDS,
            ping_timeout=PONG_TIMEOUT_SECONDS,
            max_size=MAX_FRAME_BYTES,
            proxy=None,
            logger=_FRAME_LOG,
        ) as socket:
            self._socket = socket
            try:
                self.log_in(socket)
                self._listener.synchronize()
                self.connections += 1
                self.last_error = None
                self.is_ready.set()
                self._receive(socket)
            finally:
                self._socket = None

    def _receive(self, socket: ClientConnection) -> None:
        quiet_since = last_frame_at = self._clock()
        while not self._stop.is_set():
            frame = None
            with suppress(TimeoutError):
                frame = socket.recv(QUIET_PERIOD_SECONDS)
            if frame is not None:
                last_frame_at = self._clock()
                self.receive_frame(frame)
            self._require_recent_frame(last_frame_at)
            if frame is None or self._clock() - quiet_since > QUIET_PERIOD_SECONDS:
                self._listener.check_silence()  # a busy stream can lack an event too
                quiet_since = self._clock()

    def _require_recent_frame(self, last_frame_at: float) -> None:
        limit = self.max_silence_seconds
        if limit is not None and self._clock() - last_frame_at > limit:
            raise StreamRefused(f"{self.label}'s stream sent nothing for {limit:.0f} s.")


def parse_frame(frame: str | bytes) -> dict[str, Any]:
    """Return the JSON object of a frame, an empty one for other JSON. Raises MalformedResponse."""
    try:
        message = json.loads(frame, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise MalformedResponse("a frame that is not JSON") from None
    return message if isinstance(message, dict) else {}
