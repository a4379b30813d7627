"""Alpaca's stream `trade_updates`."""

import json
import logging
from collections.abc import Callable
from typing import Any, Protocol

from typing_extensions import override
from websockets.sync.client import ClientConnection

from app.brokers.alpaca.client import LABEL, AlpacaCredentials
from app.brokers.alpaca.rules.responses import parse_update
from app.brokers.remote.stream import (
    HANDSHAKE_TIMEOUT_SECONDS,
    BrokerStream,
    StreamListener,
    StreamRefused,
    parse_frame,
)
from app.brokers.rules.order_reports import MalformedResponse, OrderUpdate
from app.clock import monotonic_seconds

_LOG = logging.getLogger(__name__)


class AlpacaStreamListener(StreamListener, Protocol):
    """Receives the reports of the stream. Its functions are called in the stream's thread."""

    def receive_update(self, update: OrderUpdate) -> None:
        """Apply an event."""


class AlpacaOrderStream(BrokerStream):
    """Receives the stream `trade_updates`."""

    def __init__(
        self,
        url: str,
        credentials: AlpacaCredentials,
        listener: AlpacaStreamListener,
        clock: Callable[[], float] = monotonic_seconds,
    ) -> None:
        super().__init__(LABEL, listener, clock)
        self._url, self._credentials, self._updates = url, credentials, listener

    @override
    def build_url(self) -> str:
        return self._url

    @override
    def log_in(self, socket: ClientConnection) -> None:
        keys = {"key_id": self._credentials.key_id, "secret_key": self._credentials.secret_key}
        socket.send(json.dumps({"action": "authenticate", "data": keys}))
        if _read(socket.recv(HANDSHAKE_TIMEOUT_SECONDS), "authorization").get("status") != "authorized":
            raise StreamRefused("Alpaca refused the login of the stream: check the credentials.")
        socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        if "trade_updates" not in (
            _read(socket.recv(HANDSHAKE_TIMEOUT_SECONDS), "listening").get("streams") or ()
        ):
            raise StreamRefused("Alpaca refused the stream of trade updates.")

    @override
    def receive_frame(self, frame: str | bytes) -> None:
        message = parse_frame(frame)
        payload = message.get("data")
        if message.get("stream") != "trade_updates" or not isinstance(payload, dict):
            return
        try:
            self._updates.receive_update(parse_update(payload))
        except MalformedResponse as error:
            _LOG.warning("an event of Alpaca's stream was not understood (%s): orders are read again", error)
            self._updates.synchronize()


def _read(frame: str | bytes, stream: str) -> dict[str, Any]:
    message = parse_frame(frame)
    payload = message.get("data")
    if message.get("stream") != stream or not isinstance(payload, dict):
        raise StreamRefused(f"Alpaca's stream did not answer with {stream}.")
    return payload
