"""uvicorn, with a cap on the head of a request, for its own parser reads headers without end; and streams
that end when the server is told to.
"""

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT = 64 * 1024
STREAMS = "/stream"  # what ends so never ends by itself
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class CappedHttp(HttpToolsProtocol):
    """Close a connection whose request line and headers exceed HEAD_LIMIT bytes before they end."""

    _head_bytes = 0
    _in_head = True
    _messages = 0

    @override
    def data_received(self, data: bytes) -> None:
        messages = self._messages
        super().data_received(data)
        # How much of this piece belongs to a message that began in it is not known: the next one counts.
        goes_on = self._in_head and self._messages == messages
        self._head_bytes = self._head_bytes + len(data) if goes_on else 0
        if self._head_bytes > HEAD_LIMIT and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    @override
    def on_message_begin(self) -> None:
        self._in_head = True
        self._messages += 1
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    @override
    def shutdown(self) -> None:
        super().shutdown()
        if self.cycle is not None and self.cycle.scope["path"].endswith(STREAMS):
            self.transport.close()  # who follows comes again, to a server that stays
