"""A transport that sends the head and the body of an answer together.

The server writes them one after the other, and the event loop hands each to the system at once: two calls of
the system and two packets for every answer, where one of each does.
"""

import asyncio
from typing import Any

CLOSE_SECONDS = 30.0


class WholeWrites:
    """Stand before a transport: a write waits for the next one, or for the end of the loop's turn."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._close_seconds = close_seconds
        self._held = b""

    def __getattr__(self, name: str) -> Any:  # all else is the transport's own
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` with what waits; the first piece of a turn waits for another."""
        if self._held:
            whole, self._held = self._held + data, b""
            self._transport.write(whole)
        elif data:
            self._held = data
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what waits."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        """Close the connection once all is sent, or after `close_seconds` where the client does not read."""
        self.flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(self._close_seconds, self._transport.abort)
