"""An asyncio transport that sends the head and the body of a response together.

The server writes them separately, and the event loop would pass each to the system immediately. This saves
one system call and one packet per response.
"""

import asyncio
from typing import Any

CLOSE_SECONDS = 30.0


class BufferedTransport:
    """Wraps a transport and delays its writes.

    A write is delayed until the next one, or until the end of the event loop's iteration.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._close_seconds = close_seconds
        self._buffer = b""

    def __getattr__(self, name: str) -> Any:  # all other attributes are the transport's
        return getattr(self._transport, name)

    def write(self, content: bytes) -> None:
        """Send `content` together with the pending content. The first write of an iteration is held back."""
        if self._buffer:
            whole, self._buffer = self._buffer + content, b""
            self._transport.write(whole)
        elif content:
            self._buffer = content
            self._loop.call_soon(self.flush)

    def write_now(self, content: bytes) -> None:
        """Send the pending content and `content`, which is a whole response, without delay."""
        buffered, self._buffer = self._buffer, b""
        self._transport.write(buffered + content)

    def flush(self) -> None:
        """Send the pending content."""
        if self._buffer:
            buffered, self._buffer = self._buffer, b""
            self._transport.write(buffered)

    def close(self) -> None:
        """Close the connection after everything is sent.

        If the client does not read, close it after `close_seconds`.
        """
        self.flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(self._close_seconds, self._transport.abort)
