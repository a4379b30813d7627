"""Preview a ticket with the books, prices and limits of an order, without any change."""

from decimal import Decimal

from app.clock import iso
from app.costs.errors import RateUnknown
from app.costs.rules.values import Execution
from app.money import product
from app.orders.rules.order_factory import build_exit_tickets, new_order
from app.orders.rules.order_views import OrderPreview
from app.orders.rules.values import Order, OrderType
from app.orders.service.batch_context import BatchContext
from app.orders.service.commands import PreviewOrder
from app.orders.service.currency_conversion import currency_in
from app.orders.service.fill_charges import build_charged_trade, compute_charges
from app.orders.service.order_entry import check_end, origin_of, resolve_quantity, ticket_denial
from app.orders.service.risk_evaluation import risk_input
from app.orders.service.trading_sessions import find_current_hold, set_session_end
from app.risk.rules.evaluation import list_headrooms
from app.risk.rules.exposure import price_of, value_of


def preview(context: BatchContext, command: PreviewOrder) -> OrderPreview:
    """Return the expected price, the cash and position after it, and the result of every check.

    Raises NoSuchPortfolio.
    """
    origin, ticket = command.origin, command.ticket
    check_end(ticket, iso(origin.at))
    portfolio_key = context.get_portfolio_key(origin.tenant_id, command.portfolio_name, command.portfolio_key)
    order_origin = origin_of(context, origin, portfolio_key, ticket.symbol)
    quantity = resolve_quantity(context, origin.tenant_id, ticket)
    order_id = context.services.order_ids.next(origin.tenant_id, origin.at)
    order = set_session_end(context, new_order(order_id, order_origin, ticket, quantity))
    hold = find_current_hold(context, order)
    legs = build_exit_tickets(order, ticket)
    risk = risk_input(context, order, confirms=ticket.confirm_repeat)
    price = price_of(risk.order, risk.prices)
    if price is not None and order.type is OrderType.LIMIT:
        touched = risk.prices.ask if order.side == "BUY" else risk.prices.bid
        if touched is not None:
            price = min(price, touched) if order.side == "BUY" else max(price, touched)
    sign = 1 if order.side == "BUY" else -1
    value = None if price is None else product(quantity, price)
    worth = None if price is None or risk.no_rate else value_of(quantity, price, risk.book.rate)
    charges = None if worth is None or value is None else _charges(context, order, value, risk.book.rate)
    return OrderPreview(
        order=order,
        portfolio_name=context.portfolio(order).name,
        price=price,
        value=value,
        charges=charges,
        cash_after=None
        if worth is None or charges is None
        else context.portfolio(order).cash - sign * worth - charges,
        position_after=context.position(order).quantity + sign * quantity,
        denial=ticket_denial(context, order, legs, confirms=ticket.confirm_repeat),
        checks=tuple(list_headrooms(risk)),
        opens_at=None if hold is None else hold.opens_at,
    )


def _charges(context: BatchContext, order: Order, value: Decimal, rate: Decimal | None) -> Decimal | None:
    """Return the charges of the order if one execution filled it, None where a rate is unknown."""
    place = (order.tenant_id, order.portfolio_id)
    currency = currency_in(context, place, order.symbol, context.position(order))
    execution = Execution(order.quantity, value)
    try:
        trade = build_charged_trade(context, order, execution, currency, rate, order.created_at)
        return compute_charges(context, order, trade).total
    except RateUnknown:
        return None
