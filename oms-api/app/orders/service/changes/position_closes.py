"""Close positions with market orders."""

from datetime import datetime
from decimal import Decimal

from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.money import format_plain_amount
from app.orders.errors import MoreThanHeld, NothingToClose
from app.orders.rules.contingency import OCO_ROLES, compute_part_size, list_orders_to_reduce
from app.orders.rules.values import FINAL_STATUSES, Order, OrderType, Role, Status, Ticket, TimeInForce
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import build_result, find_repeated_request
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import ClosePosition
from app.orders.service.contingent_orders.groups import cancel_open_orders, deny_order
from app.orders.service.execution.placement import build_order, send_order, store_held_order, store_order
from app.orders.service.risk_checks.risk_evaluation import count_order_message, find_denial, find_limits


def close_position(context: BatchContext, command: ClosePosition) -> OrderResult:
    """Send the order that closes the position, or a part of it.

    Raises NoSuchPortfolio, NothingToClose, MoreThanHeld.

    The order's fills reduce the exits to the remaining position; see `exit_quantities`. If the whole position
    is closed, competing orders are canceled first: others that would close it too, and entries that would
    continue without their exits. When a strategy is flattened they are kept, because they belong to others.

    A kill switch closes despite the halt, and its order waits for a price. A quantity above the maximum order
    quantity is closed in parts, one after the other; the first order is the parent of the others.
    """
    origin = command.origin
    earlier_result = find_repeated_request(context, origin)
    if earlier_result is not None:
        return earlier_result
    portfolio_key = context.get_portfolio_key(command)
    return close_in_portfolio(context, command, portfolio_key)


def close_in_portfolio(
    context: BatchContext, command: ClosePosition, portfolio_key: PortfolioKey
) -> OrderResult:
    """Send the order that closes the position in a locked portfolio; see `close_position`."""
    origin = command.origin
    position_quantity = context.ledger.get_position(
        PositionKey(*portfolio_key, command.symbol, command.product)
    ).quantity
    if not position_quantity:
        raise NothingToClose(command.symbol)
    if (
        not command.ignores_halt
        and command.quantity is not None
        and command.quantity > abs(position_quantity)
    ):
        raise MoreThanHeld(command.symbol, format_plain_amount(abs(position_quantity)))
    closing_order = _build_closing_order(context, command, portfolio_key, position_quantity)
    if not command.ignores_halt:
        count_order_message(context, origin, closing_order)
    exits = list_orders_to_reduce(
        closing_order, context.order_store.list_open_orders_of_symbol(portfolio_key, closing_order.symbol)
    )
    is_whole = closing_order.quantity == abs(position_quantity) and command.strategy is None
    competing_orders = (
        _list_competing_orders(context, portfolio_key, closing_order, exits) if is_whole else []
    )
    order = store_order(context, closing_order)
    denial = None if command.ignores_halt else find_denial(context, order, *exits, *competing_orders)
    if denial is not None:
        deny_order(context, order, denial, order.created_at)
    else:
        at, actor = order.created_at, order.placed_by
        cancel_open_orders(context, competing_orders, at, actor, reason="The position is closed.")
        send_order(context, _split_into_parts(context, order))
    return build_result(context, order.tenant_id, [order.id])


def _build_closing_order(
    context: BatchContext, command: ClosePosition, portfolio_key: PortfolioKey, position_quantity: Decimal
) -> Order:
    origin = command.origin
    quantity = (
        abs(position_quantity) if command.quantity is None else min(command.quantity, abs(position_quantity))
    )
    ticket = Ticket(
        symbol=command.symbol,
        side="SELL" if position_quantity > 0 else "BUY",
        type=OrderType.MARKET,
        quantity=quantity,
        time_in_force=TimeInForce.GTC if command.ignores_halt else TimeInForce.DAY,
        product=command.product,
        reason=command.reason,
        strategy=command.strategy,
    )
    order = build_order(context, origin, portfolio_key, ticket)._replace(role=Role.CLOSING)
    return order._replace(idempotency_key=origin.idempotency_key, request_hash=origin.request_hash)


def _split_into_parts(context: BatchContext, order: Order) -> Order:
    """Return the first order to send, cut to the maximum order quantity. The other parts are held."""
    size = compute_part_size(
        order.quantity,
        find_limits(context, order).max_order_quantity,
        context.find_instrument(order.tenant_id, order.symbol).lot_size,
    )
    if size == order.quantity:
        return order
    remaining_quantity, at = order.quantity - size, order.created_at
    reason = f"Closed in parts of at most {format_plain_amount(size)}"
    first = context.order_store.record_change(order, at, order.placed_by, quantity=size, reason=reason)
    base = order._replace(parent_id=order.id, idempotency_key=None, event_count=0)
    while remaining_quantity:
        part_id = context.services.order_ids.generate(order.tenant_id, datetime.fromisoformat(at))
        part = base._replace(id=part_id, client_order_id=part_id, quantity=min(size, remaining_quantity))
        store_held_order(context, part)
        remaining_quantity -= part.quantity
    return first


def _list_competing_orders(
    context: BatchContext, portfolio_key: PortfolioKey, closing: Order, exits: list[Order]
) -> list[Order]:
    """Return orders that would close the position again, and entries that would continue without exits."""
    competing_orders = [
        order
        for order in context.order_store.list_open_orders(portfolio_key)
        if _is_competing(order, closing)
    ]
    for exit_order in exits:
        entry = context.order_store.find_parent(exit_order) if exit_order.status is not Status.HELD else None
        if entry is not None and entry.status not in FINAL_STATUSES:
            competing_orders.append(entry)
    return competing_orders


def _is_competing(order: Order, closing: Order) -> bool:
    is_same_side = (order.symbol, order.product, order.side) == (
        closing.symbol,
        closing.product,
        closing.side,
    )
    is_held_child = order.status is Status.HELD and order.parent_id is not None
    return is_same_side and not is_held_child and order.role not in OCO_ROLES  # its fills reduce the exits
