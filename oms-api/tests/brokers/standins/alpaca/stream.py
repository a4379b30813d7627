"""The stream `trade_updates`: binary frames with JSON, as from Alpaca's paper host."""

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket
from typing_extensions import override

from tests.brokers.standins.alpaca.exchange import Exchange
from tests.brokers.standins.alpaca.rest import Credentials
from tests.brokers.standins.broadcast import Broadcast


class Stream(Broadcast):
    """All connections of the stream."""

    def __init__(self, exchange: Exchange, credentials: Credentials) -> None:
        super().__init__(exchange.faults, exchange.lock)
        self._exchange, self._credentials = exchange, credentials
        exchange.listeners.append(self.publish)

    @override
    def wrap(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"stream": "trade_updates", "data": payload}

    @override
    async def send_frame(self, websocket: WebSocket, message: Any) -> None:
        await websocket.send_bytes(json.dumps(message).encode())

    @override
    async def receive(self, websocket: WebSocket, queue: "asyncio.Queue[Any]") -> None:
        is_authorized = False
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            request = json.loads(message.get("text") or message.get("bytes") or "null")
            credentials = request.get("data") or {}
            if request.get("action") in {"auth", "authenticate"}:
                is_authorized = self._authorize(
                    request.get("key") or credentials.get("key_id"),
                    request.get("secret") or credentials.get("secret_key"),
                )
                status = "authorized" if is_authorized else "unauthorized"
                queue.put_nowait(
                    {"stream": "authorization", "data": {"action": "authenticate", "status": status}}
                )
            elif request.get("action") == "listen" and is_authorized:
                self._listen(queue, credentials.get("streams") or [])
            else:
                error = {"error_message": "access key verification failed"}
                queue.put_nowait({"action": "error", "data": error})

    def _authorize(self, key: str | None, secret: str | None) -> bool:
        faults = self._exchange.faults.stream
        if faults.refusals:
            faults.refusals -= 1
            return False
        return (key, secret) == self._credentials

    def _listen(self, queue: "asyncio.Queue[Any]", names: list[str]) -> None:
        streams = [name for name in names if name == "trade_updates"]
        queue.put_nowait({"stream": "listening", "data": {"streams": streams}})
        self.remove(queue)
        if streams:
            self.add(queue)
