"""Routes of approvals: list the orders that wait, decide on them, and request overrides."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from app.http.app_state import get_request_info
from app.http.body import json_body
from app.http.responses import REPLAYED_HEADER, build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller
from app.identity.rules.access import Operation
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.orders.dependencies import OrderServiceDep, authenticate_request
from app.orders.routes.order_entry import OrderIdPath, build_order_response, raise_if_denied
from app.orders.schemas.approvals import ApprovalOut, ApproveIn, OverrideIn, RejectIn, serialize_approval
from app.orders.schemas.responses import OrderOut
from app.orders.service.risk_checks.risk_evaluation import format_denial

router = APIRouter(tags=["orders"])

DecideApprovalRequest = Annotated[
    AuthenticatedRequest, Depends(authenticate_request(Operation.DECIDE_APPROVAL))
]
RequestOverrideRequest = Annotated[
    AuthenticatedRequest, Depends(authenticate_request(Operation.REQUEST_OVERRIDE))
]
ApprovalLimit = Annotated[int, Query(ge=1, le=100, description="Maximum number of orders")]
ApproveBody = Annotated[
    ApproveIn, Depends(json_body(ApproveIn, {"reason": "Within the mandate"}, is_required=False))
]
RejectBody = Annotated[RejectIn, Depends(json_body(RejectIn, {"reason": "Too large before results"}))]
OverrideBody = Annotated[
    OverrideIn, Depends(json_body(OverrideIn, {"reason": "Client block", "expires_minutes": 30}))
]


@router.get(
    "/approvals", summary="List orders awaiting your approval", **document_responses(200, list[ApprovalOut])
)
async def list_approvals(
    caller: ReadBooksCaller, service: OrderServiceDep, request: Request, limit: ApprovalLimit = 100
) -> Response:
    """List the orders that you may approve or reject, oldest first.

    Each has one estimate at the prices when it was placed and one at current prices. For a key that acts for
    no person the list is empty.
    """
    views = await service.list_approvals(
        AuthenticatedRequest(caller, get_request_info(request).request_id), limit
    )
    denials = [orjson.loads(format_denial(view.denial)) if view.denial else None for view in views]
    return build_json_response(list(map(serialize_approval, views, denials)))


@router.post(
    "/orders/{order_id}/approve",
    summary="Approve an order",
    **document_responses(200, OrderOut, 404, 409, headers=REPLAYED_HEADER),
)
async def approve_order(
    request: DecideApprovalRequest, order_id: OrderIdPath, body: ApproveBody, service: OrderServiceDep
) -> Response:
    """Approve an order that awaits approval. The body is optional.

    The risk checks run again at current prices. If the reference price has moved too far, the response is 409
    with both prices. To approve at the new price, repeat the request with it as `price_seen`. If two
    approvers decide at the same time, the first decision counts. The other approver receives 409 with the
    name of the first.
    """
    result = await service.approve(request, order_id, body.reason, body.price_seen)
    return build_order_response(raise_if_denied(result), 200)


@router.post(
    "/orders/{order_id}/reject",
    summary="Reject an order",
    **document_responses(200, OrderOut, 404, 409, headers=REPLAYED_HEADER),
)
async def reject_order(
    request: DecideApprovalRequest, order_id: OrderIdPath, body: RejectBody, service: OrderServiceDep
) -> Response:
    """Reject an order that awaits approval. Its status becomes DENIED, with your reason."""
    return build_order_response(await service.reject(request, order_id, body.reason), 200)


@router.post(
    "/orders/{order_id}/override",
    summary="Request an override of a denial",
    **document_responses(201, OrderOut, 404, 409, headers=REPLAYED_HEADER),
)
async def request_override(
    request: RequestOverrideRequest, order_id: OrderIdPath, body: OverrideBody, service: OrderServiceDep
) -> Response:
    """Place a denied order again, with a request to exceed the limit that denied it.

    The response is a new order. It waits for the approval of a second person with the role risk or admin.
    Kill switches, permissions, prices and firm-wide limits cannot be overridden.
    """
    result = await service.request_override(request, order_id, body.reason, body.expires_minutes)
    return build_order_response(raise_if_denied(result), 201)
