"""List the orders that wait for approval, each with an estimate at current prices."""

from app.errors import OmsError
from app.orders.rules.approvals import ApprovalRequest
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


def review_approvals(context: BatchContext, command: ReviewApprovals) -> WaitingApprovals:
    """Return the waiting orders on which the caller may decide, oldest first."""
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
        views.append(_build_view(context, order, request))
    return WaitingApprovals(tuple(views))


def _build_view(context: BatchContext, order: Order, request: ApprovalRequest) -> ApprovalView:
    context.loaded.approval_requests[order.key] = request
    estimate = estimate_order(context, order, build_risk_input(context, order, confirm_repeat=True))
    (view,) = build_result(context, order.tenant_id, [order.id]).orders
    return ApprovalView(
        view=view,
        request=request,
        price=get_reference(context, order),
        estimate=serialize_estimate(estimate),
        denial=find_current_denial(context, order),
    )
