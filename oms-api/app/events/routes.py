"""What changed: a list, and a stream."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.errors import FieldError, Invalid, Unavailable
from app.events.dependencies import StillCounts, TheFeed, WhetherItCounts
from app.events.queries import EventFilter, StoredEvent
from app.events.queries import list_events as read_events
from app.events.schemas import EventOut, event_out, server_sent
from app.identity.dependencies import Reader
from app.wire.answers import NEXT_HEADER, answer, responses
from app.wire.given import TheCursors, TheReaders
from app.wire.pages import DEFAULT_LIMIT
from app.wire.query import Cursor, Limit, When, next_link

router = APIRouter(tags=["events"])

_LISTED = "events"
_TYPE = re.compile(r"[a-z][a-z_]*(\.[a-z_]+|\.\*)", re.ASCII)
_ID = re.compile(r"[0-9]{1,18}", re.ASCII)
_COMMENT_AFTER = 15  # idle seconds: proxies close what is silent for longer
_STREAM_HEADERS = {"X-Accel-Buffering": "no"}  # nginx would collect the events
STREAM = {
    "description": "Server-sent events",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


def _types(text: str) -> str:
    if not all(_TYPE.fullmatch(one) for one in text.split(",")):
        raise ValueError("must be types such as trade.recorded or order.*, parted by commas")
    return text


Types = Annotated[
    str,
    Field(max_length=500, description="`trade.recorded`, `order.*`, …, parted by commas"),
    AfterValidator(_types),
]


class EventQuery(BaseModel):
    """Which events, and where the page begins."""

    model_config = ConfigDict(extra="forbid")

    type: Types | None = None
    since: When | None = Field(None, alias="from", description="Told at this instant or later")
    until: When | None = Field(None, alias="to", description="Told before this instant")
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class StreamQuery(BaseModel):
    """Which events."""

    model_config = ConfigDict(extra="forbid")

    type: Types | None = None


@router.get("/events", responses=responses(200, {"model": list[EventOut]}, headers=NEXT_HEADER))
async def list_events(
    caller: Reader, query: Annotated[EventQuery, Query()], feed: TheFeed, readers: TheReaders,
    cursors: TheCursors, request: Request,
) -> Response:  # fmt: skip
    """Events, newest first."""
    tenant_id, wanted = caller.tenant_id, EventFilter(_split(query.type), query.since, query.until)
    if query.cursor:
        below = int(cursors.read(tenant_id, _LISTED, query.cursor))
    else:
        below = await feed.horizon(tenant_id) + 1
    found = await readers.run_single(
        lambda connection: read_events(connection, tenant_id, wanted, below, query.limit + 1)
    )
    page = found[: query.limit]
    more = len(found) > query.limit
    cursor = cursors.make(tenant_id, _LISTED, str(page[-1].id)) if more else None
    return answer(list(map(event_out, page)), headers=next_link(request, cursor))


@router.get("/events/stream", response_class=StreamingResponse, responses=responses(200, STREAM))
async def stream_events(
    caller: Reader, query: Annotated[StreamQuery, Query()], feed: TheFeed, still_counts: WhetherItCounts,
    last_seen: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Go on after this event; without it, from now")
    ] = None,
) -> Response:  # fmt: skip
    """Events as they happen, as server-sent events. None is skipped: reconnect with `Last-Event-ID`."""
    pages = feed.follow(caller.tenant_id, EventFilter(_split(query.type)), _event_id(last_seen))
    await anext(pages)  # an empty one: too many streams, or no database: told before the answer begins
    return StreamingResponse(
        _sent(pages, still_counts), media_type="text/event-stream", headers=_STREAM_HEADERS
    )


async def _sent(
    pages: AsyncGenerator[list[StoredEvent], None], still_counts: StillCounts
) -> AsyncIterator[bytes]:
    idle = 0
    async with aclosing(pages):
        yield b"retry: 1000\n\n"
        try:
            async for page in pages:
                if not await still_counts():
                    return
                idle = 0 if page else idle + 1
                if page:
                    yield b"".join(map(server_sent, page))
                elif idle % _COMMENT_AFTER == 0:
                    yield b": nothing new\n\n"
        except Unavailable:
            return  # the client comes again, with the id of the last event it saw


def _split(types: str | None) -> tuple[str, ...] | None:
    return None if types is None else tuple(types.split(","))


def _event_id(text: str | None) -> int | None:
    if text is None:
        return None
    if not _ID.fullmatch(text):
        error = FieldError("Last-Event-ID", "Must be the id of an event of this stream.", "event_id")
        raise Invalid("The stream cannot go on from there.", [error])
    return int(text)
