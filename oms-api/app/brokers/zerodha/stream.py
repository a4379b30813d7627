"""Order frames of Kite's ticker socket. Its binary frames are prices and heartbeats."""

import logging
from collections.abc import Callable
from typing import Protocol

from typing_extensions import override
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from app.brokers.errors import SessionNeeded
from app.brokers.remote.stream import BrokerStream, StreamListener, StreamRefused, parse_frame
from app.brokers.rules.order_reports import MalformedResponse
from app.brokers.zerodha.client import LABEL, KiteCredentials
from app.brokers.zerodha.rules.responses import Json
from app.brokers.zerodha.rules.sessions import build_stream_address
from app.clock import monotonic_seconds

MAX_SILENCE_SECONDS = 10.0  # Kite sends a heartbeat every second
_FORBIDDEN = 403
_LOG = logging.getLogger(__name__)


class KiteStreamListener(StreamListener, Protocol):
    """Receives the reports of the socket. Its functions are called in the stream's thread."""

    def receive_order(self, json: Json) -> None:
        """Apply the state of an order. Raises MalformedResponse."""


class KiteOrderStream(BrokerStream):
    """Receives the socket. Kite authenticates by the address, so that there is no login to wait for."""

    max_silence_seconds = MAX_SILENCE_SECONDS

    def __init__(
        self,
        base_url: str,
        credentials: KiteCredentials,
        listener: KiteStreamListener,
        clock: Callable[[], float] = monotonic_seconds,
    ) -> None:
        super().__init__(LABEL, listener, clock)
        self._base_url, self._credentials, self._orders = base_url, credentials, listener

    @override
    def build_url(self) -> str:
        token = self._credentials.access_token
        if token is None:
            raise SessionNeeded(LABEL)
        return build_stream_address(self._base_url, self._credentials.api_key, token)

    @override
    def log_in(self, socket: ClientConnection) -> None:
        """Do nothing: the address has the token."""

    @override
    def receive_frame(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            return
        message = parse_frame(frame)
        payload = message.get("data")
        if message.get("type") == "error":
            raise StreamRefused("Kite's socket reported an error.")
        if message.get("type") != "order" or not isinstance(payload, dict):
            return
        try:
            self._orders.receive_order(payload)
        except MalformedResponse as error:
            _LOG.warning("an order frame of Kite was not understood (%s): orders are read again", error)
            self._orders.synchronize()

    @override
    def describe_error(self, error: Exception) -> str:
        if isinstance(error, InvalidStatus) and error.response.status_code == _FORBIDDEN:
            return str(SessionNeeded(LABEL))
        return super().describe_error(error)
