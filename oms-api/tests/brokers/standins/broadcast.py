"""The WebSocket of a stand-in: its connections, and events that faults distort."""

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.brokers.standins.faults import Faults

_CUT = object()


class Broadcast(ABC):
    """All connections of the socket. A stand-in adds its log-in and its frames."""

    def __init__(self, faults: Faults, lock: "threading.RLock") -> None:
        self._faults, self._lock = faults, lock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: list[asyncio.Queue[Any]] = []
        self._waiting: list[dict[str, Any]] = []
        self.connections = 0
        self.sent = 0

    @abstractmethod
    def wrap(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the frame of an event."""

    @abstractmethod
    async def receive(self, websocket: WebSocket, queue: "asyncio.Queue[Any]") -> None:
        """Serve the requests of a client until it disconnects."""

    @abstractmethod
    async def send_frame(self, websocket: WebSocket, message: Any) -> None:
        """Send a frame to a client."""

    @property
    def listeners(self) -> int:
        """The number of connections that get events."""
        return len(self._queues)

    def publish(self, payload: dict[str, Any]) -> None:
        """Send an event to every listener, unless a fault prevents it. Any thread may call this."""
        with self._lock:
            self._waiting.append(payload)
            self.flush()

    def flush(self) -> None:
        """Send the events that wait, as the faults allow."""
        with self._lock:
            ready = self._faults.stream.distort(self._waiting)
        for update in ready:
            self.sent += 1
            self.send(self.wrap(update))

    def clear(self) -> None:
        """Cut the connections, and begin to count again."""
        self.cut()
        self._waiting.clear()
        self.connections = self.sent = 0

    def cut(self) -> None:
        """Close every connection."""
        self.send(_CUT)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve a connection."""
        self._loop = asyncio.get_running_loop()
        await websocket.accept()
        self.connections += 1
        queue: asyncio.Queue[Any] = asyncio.Queue()
        sender = self._loop.create_task(self._forward(websocket, queue))
        try:
            await self.receive(websocket, queue)
        except WebSocketDisconnect:
            pass
        finally:
            sender.cancel()
            self.remove(queue)

    def add(self, queue: "asyncio.Queue[Any]") -> None:
        """Let a connection get events."""
        self._queues.append(queue)

    def remove(self, queue: "asyncio.Queue[Any]") -> None:
        """Let a connection get no events any more."""
        if queue in self._queues:
            self._queues.remove(queue)

    def send(self, message: Any) -> None:
        """Send a message to every listener. Any thread may call this."""
        if self._loop is not None and not self._loop.is_closed():
            for queue in list(self._queues):
                self._loop.call_soon_threadsafe(queue.put_nowait, message)

    async def _forward(self, websocket: WebSocket, queue: "asyncio.Queue[Any]") -> None:
        while True:
            message = await queue.get()
            if message is _CUT:
                await websocket.close(1011)
                return
            await self.send_frame(websocket, message)
