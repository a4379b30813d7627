"""Preview an order with the current books, prices and limits, without any change."""

from app.orders.rules.order_factory import build_exit_tickets
from app.orders.rules.order_views import OrderPreview
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.commands import PreviewOrder
from app.orders.service.execution.placement import build_order, find_placement_denial, require_unexpired
from app.orders.service.risk_checks.approvals import find_required_request
from app.orders.service.risk_checks.order_estimates import estimate_order
from app.orders.service.risk_checks.risk_evaluation import build_risk_input
from app.orders.service.risk_checks.trading_sessions import find_current_hold
from app.risk.rules.evaluation import list_headrooms


def preview_order(context: BatchContext, command: PreviewOrder) -> OrderPreview:
    """Return the expected price, the cash and position after it, and the result of every check.

    Raises NoSuchPortfolio.
    """
    origin, ticket = command.origin, command.ticket
    require_unexpired(ticket, origin.at)
    portfolio_key = context.get_portfolio_key(command)
    order = build_order(context, origin, portfolio_key, ticket)
    hold = find_current_hold(context, order)
    exit_tickets = build_exit_tickets(order, ticket)
    risk = build_risk_input(context, order, confirm_repeat=ticket.confirm_repeat)
    denial = find_placement_denial(context, order, exit_tickets, confirm_repeat=ticket.confirm_repeat)
    return OrderPreview(
        order=order,
        portfolio_name=context.get_portfolio(order).name,
        estimate=estimate_order(context, order, risk),
        denial=denial,
        checks=tuple(list_headrooms(risk)),
        opens_at=None if hold is None else hold.opens_at,
        needs_approval=denial is None and find_required_request(context, order) is not None,
    )
