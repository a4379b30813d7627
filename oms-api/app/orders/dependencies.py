"""Declare the FastAPI dependencies of the order routes."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request

from app.identity.dependencies import require_permission
from app.identity.rules.access import Caller, Operation
from app.identity.rules.request_source import RequestSource
from app.orders.service.cancellations import Cancellations
from app.orders.service.order_service import OrderService
from app.wire.dependencies import part
from app.wire.idempotency import IdempotencyKey

Orders = Annotated[OrderService, part("order_service")]
CancellationsDep = Annotated[Cancellations, part("cancellations")]


def require_source(operation: Operation) -> Callable[..., Coroutine[Any, Any, RequestSource]]:
    """Return a dependency: the caller with permission for the operation, the request id and the key."""
    authorize = require_permission(operation)

    async def get_source(
        caller: Annotated[Caller, Depends(authorize)], key: IdempotencyKey, request: Request
    ) -> RequestSource:
        return RequestSource(caller, request.state.request_info.request_id, key)

    get_source.describes = authorize.describes  # type: ignore[attr-defined]  # for OpenAPI
    return get_source
