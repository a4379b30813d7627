"""The frames of one connection that wait to be sent: bounded, with quotes and values conflated."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from app.streams.errors import CloseCode, StreamClosed
from app.streams.rules.frames import build_item_frame

MAX_FRAMES = 1_000
MAX_CHARACTERS = 1_000_000
SEND_SECONDS = 10.0  # in which a client must take a frame
_SLOW_CLIENT_REASON = "The client reads too slowly. Subscribe again after the last id."


class Outbox:
    """Sends frames one after another. For one event loop.

    Events wait in their order. Of quotes and values, only the last one of each name waits: a slow client gets
    fewer of them. A client for which too much waits, or that takes no frame for SEND_SECONDS, is too slow.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._frames: deque[str] = deque()
        self._characters = 0
        self._items: dict[str, dict[str, str]] = {}
        self._ready = asyncio.Event()
        self._is_sending = False
        self._is_drained = asyncio.Event()
        self._is_drained.set()
        self.closed: asyncio.Future[StreamClosed] = asyncio.get_running_loop().create_future()

    def put(self, frame: str) -> None:
        """Send a frame after the waiting frames. Close the connection if too much waits."""
        if self.closed.done():
            return
        self._frames.append(frame)
        self._characters += len(frame)
        if len(self._frames) > MAX_FRAMES or self._characters > MAX_CHARACTERS:
            self.close(CloseCode.TOO_SLOW, _SLOW_CLIENT_REASON)
            return
        if self._is_half_full:
            self._is_drained.clear()
        self._ready.set()

    def put_items(self, kind: str, items: Mapping[str, str], frame: str | None = None) -> None:
        """Send quotes or values by their names, at the latest when the frames before are sent.

        `frame` is their frame, if it was built already.
        """
        if self._is_sending or self._frames or kind in self._items:
            self._items.setdefault(kind, {}).update(items)
            self._ready.set()
        else:
            self.put(frame or build_item_frame(kind, list(items.items())))

    def close(self, code: CloseCode, reason: str) -> None:
        """Let the connection be closed. Drop the waiting messages."""
        if not self.closed.done():
            self.closed.set_result(StreamClosed(code, reason))
        self._frames.clear()
        self._items.clear()
        self._is_drained.set()

    async def drain(self) -> None:
        """Wait until at most half of the limits is waiting, or the connection is closed."""
        await self._is_drained.wait()

    async def run(self) -> None:
        """Send frames until canceled, or until the client is too slow."""
        while not self.closed.done():
            await self._ready.wait()
            self._ready.clear()
            await self._send_all()

    async def _send_all(self) -> None:
        self._is_sending = True
        try:
            while (frame := self._take_frame()) is not None:
                async with asyncio.timeout(SEND_SECONDS):
                    await self._send(frame)
        except TimeoutError:
            self.close(CloseCode.TOO_SLOW, _SLOW_CLIENT_REASON)
        finally:
            self._is_sending = False

    def _take_frame(self) -> str | None:
        if self._frames:
            frame = self._frames.popleft()
            self._characters -= len(frame)
            if not self._is_half_full:
                self._is_drained.set()
            return frame
        if self._items:
            kind, items = self._items.popitem()
            return build_item_frame(kind, list(items.items()))
        return None

    @property
    def _is_half_full(self) -> bool:
        return len(self._frames) > MAX_FRAMES // 2 or self._characters > MAX_CHARACTERS // 2
