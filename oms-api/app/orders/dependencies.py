"""Declare the FastAPI dependencies of the order routes."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request

from app.http.app_state import Component, get_request_info
from app.http.idempotency import IdempotencyKey
from app.identity.dependencies.authentication import require_permission
from app.identity.rules.access import Caller, Operation
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.orders.service.cancellations import Cancellations
from app.orders.service.order_service import OrderService

ORDER_SERVICE = Component[OrderService]("order_service")
OrderServiceDep = Annotated[OrderService, Depends(ORDER_SERVICE)]
CANCELLATIONS = Component[Cancellations]("cancellations")
CancellationsDep = Annotated[Cancellations, Depends(CANCELLATIONS)]


def authenticate_request(operation: Operation) -> Callable[..., Coroutine[Any, Any, AuthenticatedRequest]]:
    """Return a dependency: the caller with permission for the operation, the request id and the key."""
    authorize = require_permission(operation)

    async def get_authenticated_request(
        caller: Annotated[Caller, Depends(authorize)], key: IdempotencyKey, request: Request
    ) -> AuthenticatedRequest:
        return AuthenticatedRequest(caller, get_request_info(request).request_id, key)

    get_authenticated_request.describes = authorize.describes  # type: ignore[attr-defined]  # for OpenAPI
    return get_authenticated_request
