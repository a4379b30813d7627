"""uvicorn, with bounds on what a client may send before its request counts: its own parser reads headers
without end, and waits for them for ever. And streams that end when the server is told to.
"""

import asyncio
from contextlib import suppress
from typing import Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.whole_writes import WholeWrites

HEAD_LIMIT = 64 * 1024
STREAMS = "/stream"  # what ends so never ends by itself
HEAD_SECONDS = 10.0
WRITE_SECONDS = 30.0
_AROUND_A_FIELD = len(": \r\n")
MOST_FILES = 65_536
_EMPTY_AND_CLOSE = b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large" + _EMPTY_AND_CLOSE
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout" + _EMPTY_AND_CLOSE
_NOT_HTTP = b"HTTP/1.1 400 Bad Request" + _EMPTY_AND_CLOSE


class _HeadRefused(Exception):
    """The parser stops at this head; what to answer stands in the protocol."""


class _Ignored(list[Any]):
    """Where the fields after a body go: nobody here reads them, and they must not join those of the head."""

    @override
    def append(self, _: object) -> None:
        pass


_IGNORED = _Ignored()


class CappedHttp(HttpToolsProtocol):
    """Close a connection whose request line and headers exceed HEAD_LIMIT bytes, or are not there
    `head_seconds` after it was opened or they began; or whose body goes on `rest_seconds` after its answer.
    Cut it where the client does not read its answers, so that no more could be sent for `write_seconds`.

    A request that is whole gets its own answer, whatever follows it: what cannot be read closes the
    connection after that answer.
    """

    head_seconds = HEAD_SECONDS
    rest_seconds = HEAD_SECONDS
    write_seconds = WRITE_SECONDS
    _head_bytes = 0
    _in_head = True
    _in_message = False
    _messages = 0
    _told_bytes = 0
    _refusal = _NOT_HTTP
    _is_ending = False
    _last_whole: RequestResponseCycle | None = None
    _deadline: asyncio.TimerHandle | None = None
    _write_deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.transport = WholeWrites(transport, self.loop, self.write_seconds)  # type: ignore[assignment]  # it stands for one
        self._expect(self.head_seconds)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        self._stop_write_deadline()
        super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_deadline is None:
            self._write_deadline = self.loop.call_later(self.write_seconds, self.transport.abort)

    @override
    def resume_writing(self) -> None:
        self._stop_write_deadline()
        super().resume_writing()

    def _stop_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return  # nothing is read any more: the answers that are owed go out, then the connection closes
        messages = self._messages
        super().data_received(data)
        # How much of this piece belongs to a message that began in it is not known: the next one counts.
        goes_on = self._in_head and self._messages == messages
        self._head_bytes = self._head_bytes + len(data) if goes_on else 0
        if self._head_bytes > HEAD_LIMIT:
            self._refuse(_TOO_LARGE)
        if self._in_head or self._is_idle:
            if self._deadline is None:
                self._expect(self.head_seconds)
        elif self._deadline is not None and not self._is_answered:
            self._expect(None)

    @override
    def on_message_begin(self) -> None:
        self._in_head = self._in_message = True
        self._messages += 1
        self._told_bytes = 0
        super().on_message_begin()

    @override
    def on_url(self, url: bytes) -> None:
        self._told_bytes += len(url)
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self._told_bytes += len(name) + len(value) + _AROUND_A_FIELD
        super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        if self._told_bytes > HEAD_LIMIT:
            self._refusal = _TOO_LARGE
            raise _HeadRefused
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise _HeadRefused
        self._in_head = False
        super().on_headers_complete()
        if not self.parser.should_upgrade():  # there uvicorn reads the headers again
            self.headers = _IGNORED

    @override
    def on_message_complete(self) -> None:
        self._in_message = False
        self._last_whole = self.cycle
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_answered and not self._in_head:
            self._expect(self.rest_seconds)

    @override
    def send_400_response(self, msg: str) -> None:
        is_stray = self._messages > 1 and not (self._in_message and self.url)
        self._refuse(b"" if is_stray else self._refusal)

    def _refuse(self, answer: bytes) -> None:
        """Read no further: whole requests get their own answers, then the connection closes. `answer` is told
        where none is owed.
        """
        if self._is_ending or self.transport.is_closing():
            return
        self._is_ending = True
        self._expect(None)
        owed = self._last_whole
        if owed is not None and not owed.response_complete:
            if self.pipeline and self.pipeline[0][0] is not owed:
                self.pipeline.popleft()  # it broke off, and waits for its turn
            owed.keep_alive = False  # the connection closes after its answer
            return
        is_half_answered = self._in_message and not self._in_head and self.cycle.response_started
        if answer and not is_half_answered:
            self.transport.write(answer)
        self.transport.close()

    @override
    def shutdown(self) -> None:
        super().shutdown()
        if self.cycle is not None and self.cycle.scope["path"].endswith(STREAMS):
            self.transport.close()  # who follows comes again, to a server that stays

    @property
    def _is_answered(self) -> bool:
        """Whether the answer is out while the body goes on."""
        return self._in_message and self._is_free

    @property
    def _is_idle(self) -> bool:
        """Whether no request is here: uvicorn's own patience ends with the first byte, be it a blank line."""
        return not self._in_message and self._is_free

    @property
    def _is_free(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect(self, seconds: float | None) -> None:
        """Close the connection after so many seconds, or not any more."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._refuse(_TOO_SLOW if self._in_head and self._in_message else b"")


def install_protocol() -> None:
    """Let a uvicorn that somebody else starts use CappedHttp where it would use its own class.

    It chooses the class before it loads the application, so the class itself makes the other one.
    """

    def create(cls: type[HttpToolsProtocol], *_: object, **__: object) -> HttpToolsProtocol:
        return object.__new__(CappedHttp if cls is HttpToolsProtocol else cls)

    HttpToolsProtocol.__new__ = create  # type: ignore[method-assign,assignment]  # it has none of its own


def allow_many_connections() -> None:
    """Let this process open as many files as the system lets it, up to MOST_FILES: connections are files."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  # Windows has none

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def set_deadlines(head_seconds: float, rest_seconds: float, write_seconds: float = WRITE_SECONDS) -> None:
    """Set the deadlines of every connection of this process; each worker process sets its own."""
    CappedHttp.head_seconds, CappedHttp.rest_seconds = head_seconds, rest_seconds
    CappedHttp.write_seconds = write_seconds
