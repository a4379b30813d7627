"""Dependencies of the routes of events: the feed, and the repeated check of the caller."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from app.events.service.feed import EventFeed
from app.http.app_state import Component, get_request_info
from app.http.opaque_ids import OpaqueIds
from app.identity.dependencies.authentication import AuthenticationDep
from app.identity.rules.access import Operation

IsStillAuthorized = Callable[[], Awaitable[bool]]


async def _create_authorization_check(
    request: Request, authentication: AuthenticationDep
) -> IsStillAuthorized:
    request_info = get_request_info(request)

    async def check() -> bool:
        return await authentication.is_still_authorized(request_info, Operation.READ_EVENTS)

    return check


FEED = Component[EventFeed]("feed")
FeedDep = Annotated[EventFeed, Depends(FEED)]
IsStillAuthorizedDep = Annotated[IsStillAuthorized, Depends(_create_authorization_check)]
OPAQUE_IDS = Component[OpaqueIds]("opaque_ids")
OpaqueIdsDep = Annotated[OpaqueIds, Depends(OPAQUE_IDS)]
