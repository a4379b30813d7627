"""The ticker socket: order frames as text, and a heartbeat of one byte every second."""

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket
from typing_extensions import override

from tests.brokers.standins.broadcast import Broadcast
from tests.brokers.standins.kite.exchange import Exchange
from tests.brokers.standins.kite.rest import USER_ID, Sessions

HEARTBEAT_SECONDS = 1.0
_HEARTBEAT = b"\x00"


class Ticker(Broadcast):
    """All connections of the socket."""

    def __init__(self, exchange: Exchange, sessions: Sessions) -> None:
        super().__init__(exchange.faults, exchange.lock)
        self._sessions = sessions
        self.is_silent = False  # without heartbeats
        exchange.listeners.append(self.publish)

    @override
    async def serve(self, websocket: WebSocket) -> None:
        """Serve a connection, whose address has the token. Any other gets 403."""
        given = websocket.query_params
        if self._is_refused() or not self._sessions.admits(given.get("api_key"), given.get("access_token")):
            await websocket.close(1008)
            return
        await super().serve(websocket)

    @override
    def clear(self) -> None:
        super().clear()
        self.is_silent = False

    @override
    def wrap(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"type": "order", "id": "", "data": {"user_id": USER_ID, **data}}

    @override
    async def receive(self, websocket: WebSocket, queue: "asyncio.Queue[Any]") -> None:
        self.add(queue)
        beat = asyncio.get_running_loop().create_task(self._beat(queue))
        try:
            while (await websocket.receive())["type"] != "websocket.disconnect":
                pass  # subscriptions to prices are accepted, and bring none
        finally:
            beat.cancel()

    @override
    async def send_frame(self, websocket: WebSocket, message: Any) -> None:
        if isinstance(message, bytes):
            await websocket.send_bytes(message)
        else:
            await websocket.send_text(json.dumps(message))

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
