"""Set the stop-loss and the take-profit of an open position."""

from decimal import Decimal

from app.errors import Invalid
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.orders.errors import ExitsOfEntry, NothingToClose
from app.orders.rules.contingency import OCO_ROLES, can_only_close
from app.orders.rules.order_factory import OrderLinks, build_exit_tickets, build_order_from_ticket
from app.orders.rules.tickets import list_ticket_errors
from app.orders.rules.values import FINAL_STATUSES, GroupKind, Order, OrderType, Ticket
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import build_result, find_repeated_request
from app.orders.service.broker.broker_orders import find_broker_denial
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import SetExits, get_actor
from app.orders.service.contingent_orders.exit_denials import find_exit_denial
from app.orders.service.contingent_orders.groups import cancel_open_orders, deny_order
from app.orders.service.execution.placement import build_placement, cancel_unsent, send_pair, store_order
from app.orders.service.risk_checks.risk_evaluation import count_order_message
from app.timestamps import format_timestamp


def set_exits(context: BatchContext, command: SetExits) -> OrderResult:
    """Replace the exits of a position by the exits of the command, for the whole position.

    Raises NoSuchPortfolio, NothingToClose, Invalid, and ExitsOfEntry if exits grow with an entry that can
    still fill. If a check denies one of the new exits, the current ones stay. Nothing changes if the
    current exits have the same terms.
    """
    origin = command.origin
    repeated = find_repeated_request(context, origin)
    if repeated is not None:
        return repeated
    portfolio_key = context.get_portfolio_key(command)
    position_quantity = context.ledger.get_position(
        PositionKey(*portfolio_key, command.symbol, command.product)
    ).quantity
    if not position_quantity:
        raise NothingToClose(command.symbol)
    current_exits = _list_exits(context, command, portfolio_key, position_quantity)
    new_exits = _build_exits(context, command, portfolio_key, position_quantity)
    if sorted(map(_list_terms, current_exits)) == sorted(map(_list_terms, new_exits)):
        return build_result(context, origin.tenant_id, [exit_order.id for exit_order in current_exits])
    for order in new_exits or current_exits[:1]:
        count_order_message(context, origin, order)
    added_exits = [store_order(context, order) for order in new_exits]
    for order in added_exits:
        denial = find_broker_denial(context, order, added_exits) or find_exit_denial(
            context, order, current_exits
        )
        if denial is not None:
            deny_order(context, order, denial, order.created_at)
            cancel_unsent(context, added_exits, order.created_at)
            return build_result(context, origin.tenant_id, [exit_order.id for exit_order in added_exits])
    at, actor = format_timestamp(origin.at), get_actor(origin)
    cancel_open_orders(context, current_exits, at, actor, reason="The position's exits were replaced.")
    send_pair(context, *added_exits)
    return build_result(context, origin.tenant_id, [exit_order.id for exit_order in added_exits])


def _list_exits(
    context: BatchContext, command: SetExits, portfolio_key: PortfolioKey, position_quantity: Decimal
) -> list[Order]:
    """Return the open exits of the position, without exits of entries that have not filled.

    Raises ExitsOfEntry if an entry is filled in part and open.
    """
    side = "SELL" if position_quantity > 0 else "BUY"
    exits = []
    for order in context.order_store.list_open_orders_of_symbol(portfolio_key, command.symbol):
        if (order.side, order.product) != (side, command.product) or not _is_exit(order, position_quantity):
            continue
        entry = context.order_store.find_parent(order)
        if entry is not None and entry.status not in FINAL_STATUSES:
            if entry.filled_quantity:
                raise ExitsOfEntry(entry.id, command.symbol)
            continue
        exits.append(order)
    return exits


def _is_exit(order: Order, position_quantity: Decimal) -> bool:
    return order.role in OCO_ROLES and can_only_close(order, position_quantity)


def _build_exits(
    context: BatchContext, command: SetExits, portfolio_key: PortfolioKey, position_quantity: Decimal
) -> list[Order]:
    """Return the orders of the new exits, not stored yet. Raises Invalid."""
    origin = command.origin
    entry_ticket = Ticket(
        symbol=command.symbol,
        side="BUY" if position_quantity > 0 else "SELL",
        type=OrderType.MARKET,
        quantity=abs(position_quantity),
        product=command.product,
        take_profit=command.take_profit,
        stop_loss=command.stop_loss,
    )
    errors = list_ticket_errors(entry_ticket)
    if errors:
        raise Invalid(errors[0].message, errors)
    placement = build_placement(context, origin, portfolio_key, command.symbol)
    entry = build_order_from_ticket("", placement, entry_ticket, abs(position_quantity))
    exit_tickets = build_exit_tickets(entry, entry_ticket)
    ids = [context.services.order_ids.generate(origin.tenant_id, origin.at) for _ in exit_tickets]
    new_exits = [
        build_order_from_ticket(
            order_id, placement, ticket, abs(position_quantity), OrderLinks(None, ids[0], GroupKind.OCO, role)
        )
        for order_id, (role, ticket) in zip(ids, exit_tickets, strict=True)
    ]
    new_exits = [order._replace(request_hash=origin.request_hash) for order in new_exits]
    if not new_exits:
        return []
    return [new_exits[0]._replace(idempotency_key=origin.idempotency_key), *new_exits[1:]]


def _list_terms(order: Order) -> tuple[str, ...]:
    """Return the terms by which exits are compared."""
    terms = (order.type, order.limit_price, order.stop_price, order.leaves_quantity, order.time_in_force)
    return tuple(map(str, terms))
