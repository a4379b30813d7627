"""The ticker socket: order frames as text, prices as binary frames, and a heartbeat every second."""

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket
from typing_extensions import override

from tests.brokers.standins.broadcast import Broadcast
from tests.brokers.standins.kite.exchange import Exchange
from tests.brokers.standins.kite.rest import USER_ID, Sessions
from tests.brokers.standins.kite.ticks import build_frame, build_packet
from tests.brokers.standins.kite.values import now

HEARTBEAT_SECONDS = 1.0
_HEARTBEAT = b"\x00"


class Ticker(Broadcast):
    """All connections of the socket."""

    def __init__(self, exchange: Exchange, sessions: Sessions) -> None:
        super().__init__(exchange.faults, exchange.lock)
        self._sessions = sessions
        self.is_silent = False  # without heartbeats
        self._exchange = exchange
        self._modes: dict[asyncio.Queue[Any], dict[int, str]] = {}  # of the tokens of each connection
        exchange.listeners.append(self.publish)
        exchange.quote_listeners.append(self.publish_quote)

    @override
    async def serve(self, websocket: WebSocket) -> None:
        """Serve a connection, whose address has the token. Any other gets 403."""
        query_params = websocket.query_params
        if self._is_refused() or not self._sessions.is_admitted(
            query_params.get("api_key"), query_params.get("access_token")
        ):
            await websocket.close(1008)
            return
        await super().serve(websocket)

    @override
    def clear(self) -> None:
        super().clear()
        self.is_silent = False

    @override
    def wrap(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"type": "order", "id": "", "data": {"user_id": USER_ID, **payload}}

    @override
    async def receive(self, websocket: WebSocket, queue: "asyncio.Queue[Any]") -> None:
        self.add(queue)
        self._modes[queue] = {}
        beat = asyncio.get_running_loop().create_task(self._beat(queue))
        try:
            while (message := await websocket.receive())["type"] != "websocket.disconnect":
                self._change(queue, json.loads(message["text"]))
        finally:
            beat.cancel()
            self._modes.pop(queue, None)

    @override
    async def send_frame(self, websocket: WebSocket, message: Any) -> None:
        if isinstance(message, bytes):
            await websocket.send_bytes(message)
        else:
            await websocket.send_text(json.dumps(message))

    def publish_quote(self, symbol: str) -> None:
        """Send the price of a symbol to those who subscribed to it. Any thread may call this."""
        tokens = {listing.token for listing in self._exchange.listings.values() if listing.symbol == symbol}
        for queue, modes in list(self._modes.items()):
            frame = self._build_frame({token: modes[token] for token in tokens if token in modes})
            if frame is not None and self._loop is not None:
                self._loop.call_soon_threadsafe(queue.put_nowait, frame)

    def _change(self, queue: "asyncio.Queue[Any]", message: dict[str, Any]) -> None:
        """Carry out a subscription, its end, or a change of mode. The prices of now are sent at once."""
        modes = self._modes[queue]
        match message:
            case {"a": "subscribe", "v": tokens}:
                modes |= dict.fromkeys(tokens, "quote")
            case {"a": "mode", "v": [mode, tokens]}:
                modes |= dict.fromkeys(tokens, mode)
            case {"a": "unsubscribe", "v": tokens}:
                for token in tokens:
                    modes.pop(token, None)
                return
            case _:
                return
        frame = self._build_frame({token: modes[token] for token in tokens})
        if frame is not None:
            queue.put_nowait(frame)

    def _build_frame(self, modes: dict[int, str]) -> bytes | None:
        exchange = self._exchange
        with exchange.lock:
            packets = [
                build_packet(listing, exchange.quotes[listing.symbol], modes[listing.token], now())
                for listing in exchange.listings.values()
                if listing.token in modes and listing.symbol in exchange.quotes
            ]
        return build_frame(packets) if packets else None

    async def _beat(self, queue: "asyncio.Queue[Any]") -> None:
        while True:
            if not self.is_silent:
                queue.put_nowait(_HEARTBEAT)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _is_refused(self) -> bool:
        if not self._faults.stream.refusals:
            return False
        self._faults.stream.refusals -= 1
        return True
