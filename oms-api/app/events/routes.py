"""Routes of events: a list and a stream."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, Field

from app.database import set_tenant_scope
from app.errors import FieldError, Invalid, Unavailable
from app.events.dependencies import FeedDep, IsStillAuthorized, IsStillAuthorizedDep, OpaqueIdsDep
from app.events.queries import EventFilter, StoredEvent
from app.events.queries import list_events as read_events
from app.events.rules import EVENT_ID_KIND, get_event_number
from app.events.schemas import EventOut, format_server_sent, serialize_event
from app.http.dependencies import ReadersDep
from app.http.lists import Cursor, PageLimit, Period, QueryTime, build_link_header
from app.http.opaque_ids import OpaqueIds
from app.http.pages import DEFAULT_LIMIT
from app.http.request_models import RequestModel
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import get_rate_limit_key, require_permission
from app.identity.rules.access import Caller, Operation

router = APIRouter(tags=["events"])

ReadEventsCaller = Annotated[Caller, Depends(require_permission(Operation.READ_EVENTS))]

_OLD_EVENT_ID_KIND = "event"  # the kind of ids that were given when each event was a row
_EVENT_TYPE_PATTERN = re.compile(r"[a-z][a-z_]*(\.[a-z_]+|\.\*)", re.ASCII)
_COMMENT_INTERVAL_SECONDS = 15  # without an event: proxies close silent connections
_STREAM_HEADERS = {"X-Accel-Buffering": "no"}  # prevents nginx from buffering the events
STREAM_RESPONSE = {
    "description": "Server-sent events",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


def _parse_types(text: str) -> str:
    if not all(_EVENT_TYPE_PATTERN.fullmatch(part) for part in text.split(",")):
        raise ValueError("must be types such as trade.recorded or order.*, parted by commas")
    return text


Types = Annotated[
    str,
    Field(max_length=500, description="`trade.recorded`, `order.*`, …, parted by commas"),
    AfterValidator(_parse_types),
]


class EventQuery(Period):
    """Filters and cursor of the list of events."""

    type: Types | None = None
    since: QueryTime | None = Field(None, alias="from", description="Recorded at or after this instant")
    until: QueryTime | None = Field(None, alias="to", description="Recorded before this instant")
    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class StreamQuery(RequestModel):
    """Filters of the stream of events."""

    type: Types | None = None


@router.get("/events", summary="List events", **document_responses(200, list[EventOut]))
async def list_events(
    caller: ReadEventsCaller, query: Annotated[EventQuery, Query()], feed: FeedDep, readers: ReadersDep,
    opaque_ids: OpaqueIdsDep, request: Request,
) -> Response:  # fmt: skip
    """List events, newest first."""
    tenant_id, filters = caller.tenant_id, EventFilter(_split_types(query.type), query.since, query.until)
    if query.cursor:
        below = _decode_event_id(opaque_ids, tenant_id, query.cursor, "cursor")
    else:
        below = await feed.get_horizon(tenant_id) + 1
    stored_events = await readers.run_single(
        lambda connection: read_events(
            set_tenant_scope(connection, [tenant_id]), tenant_id, filters, below, query.limit + 1
        )
    )
    page = [
        (event, opaque_ids.encode(tenant_id, EVENT_ID_KIND, event.number))
        for event in stored_events[: query.limit]
    ]
    cursor = page[-1][1] if len(stored_events) > query.limit else None
    serialized = [serialize_event(event, opaque_id) for event, opaque_id in page]
    return build_json_response(serialized, headers=build_link_header(request, cursor))


@router.get(
    "/events/stream",
    summary="Stream events",
    response_class=StreamingResponse,
    **document_responses(200, STREAM_RESPONSE),
)
async def stream_events(
    caller: ReadEventsCaller, query: Annotated[StreamQuery, Query()], feed: FeedDep, opaque_ids: OpaqueIdsDep,
    is_still_authorized: IsStillAuthorizedDep,
    last_seen: Annotated[
        str | None, Header(alias="Last-Event-ID", description="ID of the last received event; default: now")
    ] = None,
) -> Response:  # fmt: skip
    """Stream events as server-sent events. To miss no event, reconnect with `Last-Event-ID`."""
    tenant_id = caller.tenant_id
    after = None if last_seen is None else _decode_event_id(opaque_ids, tenant_id, last_seen, "Last-Event-ID")
    pages = feed.follow(tenant_id, EventFilter(_split_types(query.type)), after, get_rate_limit_key(caller))
    # the first page is empty; too many streams or no database fail here, before the response begins
    await anext(pages)

    def write_event(event: StoredEvent) -> bytes:
        return format_server_sent(event, opaque_ids.encode(tenant_id, EVENT_ID_KIND, event.number))

    return StreamingResponse(
        _stream_pages(pages, is_still_authorized, write_event),
        media_type="text/event-stream",
        headers=_STREAM_HEADERS,
    )


async def _stream_pages(
    pages: AsyncGenerator[list[StoredEvent], None],
    is_still_authorized: IsStillAuthorized,
    write_event: Callable[[StoredEvent], bytes],
) -> AsyncIterator[bytes]:
    idle = 0
    async with aclosing(pages):
        yield b"retry: 1000\n\n"
        try:
            async for page in pages:
                if not await is_still_authorized():
                    return
                idle = 0 if page else idle + 1
                if page:
                    yield b"".join(map(write_event, page))
                elif idle % _COMMENT_INTERVAL_SECONDS == 0:
                    yield b": nothing new\n\n"
        except Unavailable:
            return  # the client reconnects with the id of the last event


def _split_types(types: str | None) -> tuple[str, ...] | None:
    return None if types is None else tuple(types.split(","))


def _decode_event_id(opaque_ids: OpaqueIds, tenant_id: int, text: str, field: str) -> int:
    number = opaque_ids.decode(tenant_id, EVENT_ID_KIND, text)
    if number is None:
        row_id = opaque_ids.decode(tenant_id, _OLD_EVENT_ID_KIND, text)
        number = None if row_id is None else get_event_number(row_id)
    if number is None:
        error = FieldError(field, "Must be an event ID that this list or stream has returned.", "event_id")
        raise Invalid("The event ID is not valid; send one that this list or stream has returned.", [error])
    return number
