"""List the orders that wait for approval, each with an estimate at current prices."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.errors import OmsError
from app.identity.queries.people import find_key_creator, list_person_names
from app.orders.queries.approvals import list_waiting_requests
from app.orders.queries.orders import load_orders_by_id
from app.orders.rules.approvals import ApprovalRequest, Decider, is_approver, is_own_order
from app.orders.rules.order_views import ApprovalView
from app.orders.rules.values import Order, Status
from app.orders.service.approval.approval_decisions import find_current_denial
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import build_result
from app.orders.service.command_results import WaitingApprovals
from app.orders.service.commands import ReviewApprovals
from app.orders.service.risk_checks.approvals import get_reference, load_decider, require_decider
from app.orders.service.risk_checks.order_estimates import estimate_order, serialize_estimate
from app.orders.service.risk_checks.risk_evaluation import build_risk_input

_PAGE_SIZE = 500  # waiting requests that one statement reads


def list_requests_to_review(connection: Connection, command: ReviewApprovals) -> list[ApprovalRequest]:
    """Return the oldest requests on which the caller may decide, at most the command's limit.

    They are read before their portfolios are locked, so an order may have ended in the meantime.
    """
    origin = command.origin
    names = list_person_names(connection, origin.tenant_id, origin.actor or "")
    decider = Decider(names, command.role)
    requests: list[ApprovalRequest] = []
    last_id = ""
    while len(requests) < command.limit:
        page = list_waiting_requests(connection, origin.tenant_id, origin.portfolios, _PAGE_SIZE, last_id)
        requests += _select_decidable(connection, page, decider)
        if len(page) < _PAGE_SIZE:
            break
        last_id = page[-1].order_id
    return requests[: command.limit]


def _select_decidable(
    connection: Connection, requests: Sequence[ApprovalRequest], decider: Decider
) -> list[ApprovalRequest]:
    """Return the requests on which the person may decide."""
    requests_by_key = {request.order_key: request for request in requests if is_approver(request, decider)}
    orders = load_orders_by_id(connection, sorted(requests_by_key))
    keys = {(order.tenant_id, order.source) for order in orders if not order.actor}
    creators = {key: find_key_creator(connection, *key) for key in keys}
    own_keys = {
        order.key
        for order in orders
        if is_own_order(
            order,
            requests_by_key[order.key],
            decider,
            None if order.actor else creators[order.tenant_id, order.source],
        )
    }
    return [request for key, request in requests_by_key.items() if key not in own_keys]


def review_approvals(context: BatchContext, command: ReviewApprovals) -> WaitingApprovals:
    """Return the waiting orders on which the caller may decide, oldest first.

    Store their requests in the context, which the risk input of an order reads.
    """
    origin = command.origin
    decider = load_decider(context, origin, command.role)
    views = []
    for request in context.loaded.approvals_to_review[command]:
        order = context.order_store.find(request.tenant_id, request.order_id)
        if order is None or order.status is not Status.AWAITING_APPROVAL:
            continue
        try:
            require_decider(context, order, request, decider)
        except OmsError:
            continue
        context.loaded.approval_requests[order.key] = request
        views.append(_build_view(context, order, request))
    return WaitingApprovals(tuple(views))


def _build_view(context: BatchContext, order: Order, request: ApprovalRequest) -> ApprovalView:
    estimate = estimate_order(context, order, build_risk_input(context, order, confirm_repeat=True))
    (view,) = build_result(context, order.tenant_id, [order.id]).orders
    return ApprovalView(
        view=view,
        request=request,
        price=get_reference(context, order),
        estimate=serialize_estimate(estimate),
        denial=find_current_denial(context, order),
    )
