"""The stream `trade_updates`: binary frames with JSON, as from Alpaca's paper host."""

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.brokers.standins.alpaca.exchange import Exchange
from tests.brokers.standins.alpaca.rest import Credentials

_CUT = object()


class Stream:
    """All connections of the stream."""

    def __init__(self, exchange: Exchange, credentials: Credentials) -> None:
        self._exchange, self._credentials = exchange, credentials
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: list[asyncio.Queue[Any]] = []
        self._waiting: list[dict[str, Any]] = []
        self.connections = 0
        self.sent = 0
        exchange.listeners.append(self.publish)

    @property
    def listeners(self) -> int:
        """The number of connections that listen to `trade_updates`."""
        return len(self._queues)

    def publish(self, data: dict[str, Any]) -> None:
        """Send an event to every listener, unless a fault prevents it. Any thread may call this."""
        with self._exchange.lock:
            self._waiting.append(data)
            self.flush()

    def flush(self) -> None:
        """Send the events that wait, as the faults allow."""
        with self._exchange.lock:
            ready = self._exchange.faults.stream.distort(self._waiting)
        for update in ready:
            self.sent += 1
            self._send({"stream": "trade_updates", "data": update})

    def clear(self) -> None:
        """Cut the connections, and begin to count again."""
        self.cut()
        self._waiting.clear()
        self.connections = self.sent = 0

    def cut(self) -> None:
        """Cut every connection."""
        self._send(_CUT)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve a connection."""
        self._loop = asyncio.get_running_loop()
        await websocket.accept()
        self.connections += 1
        queue: asyncio.Queue[Any] = asyncio.Queue()
        sender = self._loop.create_task(self._forward(websocket, queue))
        try:
            await self._receive(websocket, queue)
        except WebSocketDisconnect:
            pass
        finally:
            sender.cancel()
            if queue in self._queues:
                self._queues.remove(queue)

    async def _receive(self, websocket: WebSocket, queue: "asyncio.Queue[Any]") -> None:
        is_authorized = False
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            request = json.loads(message.get("text") or message.get("bytes") or "null")
            data = request.get("data") or {}
            if request.get("action") in {"auth", "authenticate"}:
                is_authorized = self._authorize(
                    request.get("key") or data.get("key_id"), request.get("secret") or data.get("secret_key")
                )
                status = "authorized" if is_authorized else "unauthorized"
                queue.put_nowait(
                    {"stream": "authorization", "data": {"action": "authenticate", "status": status}}
                )
            elif request.get("action") == "listen" and is_authorized:
                self._listen(queue, data.get("streams") or [])
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
        if queue in self._queues:
            self._queues.remove(queue)
        if streams:
            self._queues.append(queue)

    async def _forward(self, websocket: WebSocket, queue: "asyncio.Queue[Any]") -> None:
        while True:
            message = await queue.get()
            if message is _CUT:
                await websocket.close(1011)
                return
            await websocket.send_bytes(json.dumps(message).encode())

    def _send(self, message: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            for queue in list(self._queues):
                self._loop.call_soon_threadsafe(queue.put_nowait, message)
