"""Answers too long to be held: JSON Lines, sent piece by piece as the client takes them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.responses import StreamingResponse

JSON_LINES = "application/x-ndjson"


def exported(read: Callable[[], Awaitable[bytes]], file_name: str) -> StreamingResponse:
    """Return what `read` gives, time after time, until it gives nothing.

    No connection of the database is held while the client takes its time. Should `read` fail half-way, the
    connection is cut: the client sees that the answer is not whole.
    """

    async def pieces() -> AsyncIterator[bytes]:
        while piece := await read():
            yield piece

    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return StreamingResponse(pieces(), media_type=JSON_LINES, headers=headers)


def lines_described(text: str, example: str) -> dict[str, Any]:
    """Return what the OpenAPI document says of such an answer."""
    schema = {"type": "string", "format": "binary"}
    return {"description": text, "content": {JSON_LINES: {"schema": schema, "example": example}}}
