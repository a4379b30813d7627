"""Dependencies of the routes of events: the feed, and the repeated check of the caller."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from app.direct_routes import RequestInfo
from app.events.service.feed import Feed
from app.identity.dependencies import Authentication
from app.identity.rules.access import Operation
from app.wire.dependencies import part
from app.wire.opaque_ids import OpaqueIds

StillCounts = Callable[[], Awaitable[bool]]


async def _still_counts(request: Request) -> StillCounts:
    authentication: Authentication = request.app.state.authentication
    request_info: RequestInfo = request.state.request_info

    async def check() -> bool:
        return await authentication.is_still_authorized(request_info, Operation.READ_EVENTS)

    return check


FeedDep = Annotated[Feed, part("feed")]
WhetherItCounts = Annotated[StillCounts, Depends(_still_counts)]
OpaqueIdsDep = Annotated[OpaqueIds, part("opaque_ids")]
