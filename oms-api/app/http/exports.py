"""Long responses, such as JSON Lines or CSV, sent in chunks as the client receives them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from app.rate_limit import SlotLimits, Slots

JSON_LINES = "application/x-ndjson"


MAX_OPEN_EXPORTS = SlotLimits(key=3, tenant=6, total=40)
# one concurrent export read per this many reader threads, so that the others serve short reads
READS_PER_THREAD = 4
ReadChunk = Callable[[], Awaitable[bytes]]


class Exports:
    """The exports of a process: a limited number may be open, and few of them read at the same time.

    With `is_for_bots`, the key of a Slack bot may read exports without a person.
    """

    def __init__(
        self, reader_threads: int, limits: SlotLimits = MAX_OPEN_EXPORTS, *, is_for_bots: bool = False
    ) -> None:
        self.is_for_bots = is_for_bots
        self._slots = Slots("exports", limits)
        self._reading = asyncio.Semaphore(max(1, reader_threads // READS_PER_THREAD))

    @property
    def used(self) -> int:
        """Return the number of open exports."""
        return self._slots.used

    async def respond(
        self,
        tenant_id: int,
        key: str,
        begin: Callable[[], Awaitable[ReadChunk]],
        file_name: str,
        media_type: str = JSON_LINES,
        close: Callable[[], None] = lambda: None,
    ) -> StreamingResponse:
        """Stream the pieces that the function returned by `begin` reads. Raises TooMany if no slot is left.

        `close` is called when the export ends or fails.
        """
        release_slot = self._slots.take(tenant_id, key)

        def release() -> None:
            close()
            release_slot()

        try:
            async with self._reading:
                read_chunk = await begin()
        except BaseException:
            release()
            raise

        async def read_in_turn() -> bytes:
            async with self._reading:
                return await read_chunk()

        return stream_lines(read_in_turn, file_name, release, media_type)


class _Export(StreamingResponse):
    """Releases its slot in any case when it ends."""

    def __init__(
        self, content: AsyncIterator[bytes], file_name: str, release: Callable[[], None], media_type: str
    ) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
        super().__init__(content, media_type=media_type, headers=headers)
        self._release = release

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


def stream_lines(
    read_chunk: ReadChunk,
    file_name: str,
    release: Callable[[], None] = lambda: None,
    media_type: str = JSON_LINES,
) -> StreamingResponse:
    """Stream the results of repeated `read_chunk` calls until one is empty.

    No database connection is held while the client receives. If `read_chunk` fails, the connection closes, so
    that the client detects the incomplete response.
    """

    async def generate_chunks() -> AsyncIterator[bytes]:
        while chunk := await read_chunk():
            yield chunk

    return _Export(generate_chunks(), file_name, release, media_type)


def describe_lines(text: str, example: str) -> dict[str, Any]:
    """Return the OpenAPI description of such a response."""
    schema = {"type": "string", "format": "binary"}
    return {"description": text, "content": {JSON_LINES: {"schema": schema, "example": example}}}
