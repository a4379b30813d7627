"""The stream `trade_updates`, received in a thread of its own, which connects again until it is closed.

Alpaca replays nothing after a reconnect, and a connection can be open and silent. So the listener is called
after every log-in, to read again what happened meanwhile, and regularly while the connection is quiet.
"""

import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, Protocol

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from app.brokers.alpaca.client import AlpacaCredentials
from app.brokers.alpaca.rules.responses import MalformedResponse, Update, parse_update
from app.brokers.errors import BrokerUnavailable
from app.clock import monotonic_seconds

CONNECT_SECONDS = 5.0
QUIET_SECONDS = 1.0
PING_SECONDS, PONG_SECONDS = 10.0, 5.0
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 30.0
MAX_FRAME_BYTES = 1024 * 1024
_LOG = logging.getLogger(__name__)
_FRAME_LOG = logging.getLogger(f"{__name__}.frames")
_FRAME_LOG.setLevel(logging.WARNING)  # at a lower level the library would log the credentials


class StreamRefused(Exception):
    """Alpaca refused the log-in, or did not follow its protocol."""


_EXPECTED = (OSError, WebSocketException, StreamRefused, MalformedResponse, BrokerUnavailable)


class Listener(Protocol):
    """Receives what the stream reports. Its functions are called in the stream's thread."""

    def receive_update(self, update: Update) -> None:
        """Apply an event."""
        ...

    def synchronize(self) -> None:
        """Read again what happened while the stream was down. Called after each log-in."""
        ...

    def check_silence(self) -> None:
        """Look for changes that the stream did not report. Called while it is quiet."""
        ...


class TradeUpdates:
    """Receives the stream. `is_ready` is set while it is logged in and the listener is synchronized."""

    def __init__(
        self,
        url: str,
        credentials: AlpacaCredentials,
        listener: Listener,
        clock: Callable[[], float] = monotonic_seconds,
    ) -> None:
        self._url, self._credentials, self._listener, self._clock = url, credentials, listener, clock
        self.is_ready = threading.Event()
        self.last_error: str | None = None
        self.connections = 0
        self._stop = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the thread, once."""
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="alpaca-stream", daemon=True)
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
                self._note(error)
            except Exception as error:  # noqa: BLE001  # the thread must go on after any failure
                self._note(error)
                _LOG.exception("the stream of Alpaca failed")
            finally:
                self.is_ready.clear()
            pause = MIN_PAUSE_SECONDS if self.connections > connections else min(pause * 2, MAX_PAUSE_SECONDS)
            self._stop.wait(pause)

    def _note(self, error: Exception) -> None:
        is_explained = isinstance(error, StreamRefused | BrokerUnavailable)
        self.last_error = str(error) if is_explained else type(error).__name__
        if not self._stop.is_set():
            _LOG.warning("the stream of Alpaca is down: %s", self.last_error)

    def _receive_until_closed(self) -> None:
        with connect(
            self._url,
            open_timeout=CONNECT_SECONDS,
            close_timeout=1.0,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            max_size=MAX_FRAME_BYTES,
            proxy=None,
            logger=_FRAME_LOG,
        ) as socket:
            self._socket = socket
            try:
                self._log_in(socket)
                self._listener.synchronize()
                self.connections += 1
                self.last_error = None
                self.is_ready.set()
                self._receive(socket)
            finally:
                self._socket = None

    def _log_in(self, socket: ClientConnection) -> None:
        keys = {"key_id": self._credentials.key_id, "secret_key": self._credentials.secret_key}
        socket.send(json.dumps({"action": "authenticate", "data": keys}))
        if _read(socket.recv(CONNECT_SECONDS), "authorization").get("status") != "authorized":
            raise StreamRefused("Alpaca refused the log-in of the stream: check the credentials.")
        socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        if "trade_updates" not in (_read(socket.recv(CONNECT_SECONDS), "listening").get("streams") or ()):
            raise StreamRefused("Alpaca refused the stream of trade updates.")

    def _receive(self, socket: ClientConnection) -> None:
        quiet_since = self._clock()
        while not self._stop.is_set():
            try:
                frame = socket.recv(QUIET_SECONDS)
            except TimeoutError:
                self._listener.check_silence()
                quiet_since = self._clock()
                continue
            self._receive_frame(frame)
            if self._clock() - quiet_since > QUIET_SECONDS:  # a busy stream can lack an event too
                self._listener.check_silence()
                quiet_since = self._clock()

    def _receive_frame(self, frame: str | bytes) -> None:
        message = _parse(frame)
        data = message.get("data")
        if message.get("stream") != "trade_updates" or not isinstance(data, dict):
            return
        try:
            self._listener.receive_update(parse_update(data))
        except MalformedResponse as error:
            _LOG.warning("an event of Alpaca's stream was not understood (%s): orders are read again", error)
            self._listener.synchronize()


def _read(frame: str | bytes, stream: str) -> dict[str, Any]:
    message = _parse(frame)
    data = message.get("data")
    if message.get("stream") != stream or not isinstance(data, dict):
        raise StreamRefused(f"Alpaca's stream did not answer with {stream}.")
    return data


def _parse(frame: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(frame, parse_float=Decimal)
    except ValueError:
        raise MalformedResponse("a frame that is not JSON") from None
    return message if isinstance(message, dict) else {}
