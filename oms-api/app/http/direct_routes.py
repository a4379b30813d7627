"""Direct routes: a synchronous function per operation, which the HTTP protocol calls without an ASGI task.

A direct route only serves requests that need no query before they are queued for the writer. It declines all
others, among them those that it would refuse, before it has counted or changed anything. The ASGI application
then serves them.

An AsyncDirectRoute may await queries; the ASGI middleware serves it. A direct route may not; the HTTP
protocol calls it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from app.errors import OmsError

if TYPE_CHECKING:  # see `http_server.protocol`
    from app.rate_limit import RateState

MAX_DIRECT_BODY_BYTES = 16_384
# Headers that only the ASGI application handles.
_ASGI_ONLY_HEADERS = frozenset({b"content-encoding", b"expect", b"transfer-encoding", b"upgrade"})


@dataclass(slots=True)
class RequestInfo:
    """A request whose body was read. Header names are in lower case; security-relevant ones occur only once.

    The request counts against the rate limit of `address`. Authentication sets `caller`, `rate`, which is
    added to the response, and `on_denied`, which is called when an authenticated caller gets a 403.
    `last_segment` is the last segment of the path, set for the routes that end in WILDCARD_SEGMENT.
    `trace_id` comes from the header `traceparent`.
    """

    headers: Mapping[bytes, bytes] = field(repr=False)  # may contain keys and passwords
    body: bytes = field(repr=False)
    path: str
    request_id: str
    caller: str = "-"
    last_segment: str = ""
    address: str = "-"
    trace_id: str | None = None
    rate: "RateState | None" = None
    on_denied: Callable[[], None] | None = field(default=None, repr=False)


class JsonResponse(NamedTuple):
    """A JSON response of a direct route."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(slots=True)  # not frozen: each request creates one, which would take three times as long
class PendingResponse:
    """A response that can be built once the writer has resolved `future`.

    `enrich_error` may replace an error by a more detailed one.
    """

    future: "asyncio.Future[Any]"
    build: Callable[[Any], JsonResponse]
    enrich_error: Callable[[OmsError], Awaitable[OmsError]] | None = None

    async def wait(self) -> JsonResponse:
        """Return the response. Raises the error of the command."""
        try:
            outcome = await self.future
        except OmsError as error:
            raise error if self.enrich_error is None else await self.enrich_error(error) from None
        return self.build(outcome)


DirectRoute = Callable[[RequestInfo], PendingResponse | None]
AsyncDirectRoute = Callable[[RequestInfo], Awaitable[JsonResponse]]
WILDCARD_SEGMENT = "{name}"  # at the end of the path of an AsyncDirectRoute: matches any segment


@dataclass(slots=True, eq=False)
class DirectRequest:
    """A request of an HTTP connection that a direct route serves when its body is complete.

    `exchange` holds the request and its response: uvicorn's RequestResponseCycle, or a ForwardedExchange.
    `respond` sends a whole response to it. `decline` lets the ASGI application serve the request.
    """

    route: DirectRoute
    exchange: Any
    headers: Mapping[bytes, bytes]
    respond: Callable[[Any, int, bytes, bytes], None]
    decline: Callable[[], None]
    is_timed: bool = False  # whether it waits for the rest of the body


def get_direct_headers(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes] | None:
    """Return the headers by name, or None if a direct route cannot serve a request with them."""
    direct_headers = dict(headers)
    length = direct_headers.get(b"content-length", b"")
    is_direct = (
        len(direct_headers) == len(headers)
        and direct_headers.keys().isdisjoint(_ASGI_ONLY_HEADERS)
        and length.isdigit()
        and int(length[:20]) <= MAX_DIRECT_BODY_BYTES
    )
    return direct_headers if is_direct else None
