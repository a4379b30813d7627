"""Place new orders: check them, store them whatever the result, and send them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.brokers.rules.rejections import simulate_rejection
from app.errors import FieldError, Invalid
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.commands import CommandOrigin
from app.orders.errors import NotAtBroker
from app.orders.rules.broker_requests import is_emulated_limit_order, is_remote
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.order_factory import (
    NO_LINKS,
    PAPER,
    ExitTicket,
    OrderLinks,
    Placement,
    build_exit_tickets,
    build_order_from_ticket,
)
from app.orders.rules.states import get_resting_status
from app.orders.rules.tickets import list_expiry_errors
from app.orders.rules.values import GroupKind, Order, Role, Status, Ticket, replace_fields
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import build_result, find_repeated_placement
from app.orders.service.broker.broker_orders import (
    find_broker_denial,
    find_broker_hold_reason,
    request_submission,
)
from app.orders.service.broker.order_pairs import sort_pairs
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import AdoptOrder, PlaceGroup, PlaceOrder
from app.orders.service.contingent_orders.exit_denials import (
    build_hypothetical_exits,
    find_bracket_denial,
    find_follower_denial,
    find_pair_denial,
)
from app.orders.service.contingent_orders.groups import RISK_ACTOR, deny_order, finalize_order
from app.orders.service.execution.matching import match_new_order
from app.orders.service.risk_checks.approvals import await_approval, find_required_request
from app.orders.service.risk_checks.order_estimates import find_quantity_denial, resolve_quantity
from app.orders.service.risk_checks.risk_evaluation import count_order_message, find_denial
from app.orders.service.risk_checks.trading_sessions import find_order_hold, set_session_end
from app.risk.rules.values import Denial
from app.timestamps import Timestamp, format_timestamp


def place_order(context: BatchContext, command: PlaceOrder) -> OrderResult:
    """Place one order and, for a bracket, its exits. A repeated request returns the earlier outcome."""
    earlier = find_repeated_placement(context, command)
    if earlier is not None:
        return earlier
    origin = command.origin
    require_unexpired(command.ticket, origin.at)
    portfolio_key = context.get_portfolio_key(command)
    order = build_order(context, origin, portfolio_key, command.ticket)
    count_order_message(context, origin, order)
    order = replace_fields(order, idempotency_key=origin.idempotency_key, request_hash=origin.request_hash)
    legs = build_exit_tickets(order, command.ticket)
    if legs:
        order = order._replace(group_id=order.id, group_kind=GroupKind.BRACKET, role=Role.ENTRY)
    order = store_order(context, order)
    denial = find_placement_denial(context, order, legs, confirm_repeat=command.ticket.confirm_repeat)
    if denial is not None:
        deny_order(context, order, denial, order.created_at)
    else:
        for role, ticket in legs:
            links = OrderLinks(order.id, order.id, GroupKind.BRACKET, role)
            store_held_order(context, build_order(context, origin, portfolio_key, ticket, links))
        send_or_request_approval(
            context,
            context.order_store.get(order.tenant_id, order.id),
            requires_approval=command.requires_approval,
        )
    return build_result(context, order.tenant_id, [order.id])


def place_group(context: BatchContext, command: PlaceGroup) -> OrderResult:
    """Place two linked orders. If risk denies one, neither is sent."""
    earlier = find_repeated_placement(context, command)
    if earlier is not None:
        return earlier
    for number, ticket in enumerate(command.tickets):
        require_unexpired(ticket, command.origin.at, f"orders.{number}.")
    portfolio_key = context.get_portfolio_key(command)
    first, second = (
        build_order(context, command.origin, portfolio_key, ticket) for ticket in command.tickets
    )
    for order in (first, second):
        count_order_message(context, command.origin, order)
    key, request_hash = command.origin.idempotency_key, command.origin.request_hash
    first = first._replace(idempotency_key=key, request_hash=request_hash)
    second = second._replace(request_hash=request_hash)
    is_pair = command.kind is GroupKind.OCO
    group: dict[str, Any] = {"group_id": first.id, "group_kind": command.kind}
    first = store_order(context, first._replace(**group, role=Role.EITHER if is_pair else Role.ENTRY))
    parent_id = None if is_pair else first.id
    role = Role.EITHER if is_pair else Role.FOLLOWER
    second = store_order(context, second._replace(**group, parent_id=parent_id, role=role))
    if _deny_failing_order(context, first, second):
        cancel_unsent(context, [first, second], format_timestamp(command.origin.at))
    elif is_pair:
        _submit_pair(context, first, second)
    else:
        context.order_store.change_status(second, Status.HELD, second.created_at, second.placed_by)
        send_or_request_approval(context, first)
    return build_result(context, first.tenant_id, [first.id, second.id])


def require_unexpired(ticket: Ticket, now: datetime, prefix: str = "") -> None:
    """Raise Invalid if the ticket has expired. Call it only for new requests: a repeat may come late."""
    for bad in list_expiry_errors(ticket, format_timestamp(now)) if ticket.expires_at else ():
        raise Invalid(bad.message, [FieldError(f"{prefix}{bad.field}", bad.message, bad.code)])


def store_order(context: BatchContext, order: Order) -> Order:
    """Store a new order, and index its idempotency key and client order id."""
    stored_order = context.order_store.add(order, order.placed_by)
    context.loaded.index_request_keys([stored_order])
    return stored_order


def find_placement_denial(
    context: BatchContext, order: Order, legs: Sequence[ExitTicket], *, confirm_repeat: bool = False
) -> Denial | None:
    """Return the denial of an order or of one of its exits; all are checked before the order is sent."""
    return (
        find_broker_denial(context, order, build_hypothetical_exits(order, legs) if legs else ())
        or find_quantity_denial(order)
        or find_denial(context, order, confirm_repeat=confirm_repeat)
        or (find_bracket_denial(context, order, legs) if legs else None)
    )


def _deny_failing_order(context: BatchContext, first: Order, second: Order) -> bool:
    """Check both orders of a group, and deny the first that does not pass. Return whether one was denied."""
    broker_denial = find_broker_denial(context, first, (first, second) if first.role is Role.EITHER else ())
    is_pair = first.group_kind is GroupKind.OCO
    for order in (first, second):
        denial = broker_denial or find_quantity_denial(order)
        if order is first or is_pair:
            denial = denial or find_denial(context, order)
            denial = denial or (find_pair_denial(context, order) if is_pair else None)
        else:
            denial = denial or find_follower_denial(context, first, order)
        if denial is not None:
            deny_order(context, order, denial, order.created_at)
            return True
    return False


def send_or_request_approval(context: BatchContext, order: Order, *, requires_approval: bool = False) -> None:
    """Send a checked order, or let it wait for approval if its portfolio's policy covers it."""
    request = find_required_request(context, order, is_forced=requires_approval)
    if request is None:
        send_order(context, order)
    else:
        await_approval(context, order, request)


def send_order(
    context: BatchContext, order: Order, at: Timestamp | None = None, actor: str | None = None, **fields: Any
) -> None:
    """Send a checked order to its broker, or hold it until its session opens or its broker is connected.

    The paper broker accepts and matches it at once. An exit is never held: it does not match outside its
    session. `at` and `actor` are set for an order that waited for approval; they are the time and the person
    of the approval. `fields` are further fields of the history row.
    """
    at, actor = at or order.created_at, actor or order.placed_by
    hold = None if order.role in EXIT_ROLES else find_order_hold(context, order, at)
    reason = find_broker_hold_reason(context, order) if hold is None else hold.reason
    if reason is not None:
        context.order_store.change_status(order, Status.HELD, at, actor, **fields | {"reason": reason})
        return
    sent = context.order_store.change_status(order, Status.SUBMITTED, at, actor, **fields)
    if is_remote(sent):
        request_submission(context, sent, at)
        return
    rejection_reason = simulate_rejection(context.services.paper_settings, order.id)
    if rejection_reason is not None:
        finalize_order(context, sent, Status.REJECTED, at, sent.broker, broker_reason=rejection_reason)
        return
    resting_status = get_resting_status(order.filled_quantity, is_triggered=order.is_triggered)
    accepted = context.order_store.change_status(sent, resting_status, at, sent.broker, accepted_at=at)
    match_new_order(context, accepted, at)


def build_placement(
    context: BatchContext, origin: CommandOrigin, portfolio_key: PortfolioKey, symbol: str
) -> Placement:
    """Return the portfolio, the cost schedule and the placer of a new order."""
    exchange = context.find_instrument(origin.tenant_id, symbol).exchange
    portfolio = context.ledger.get_portfolio(portfolio_key)
    return Placement(
        *portfolio_key,
        source=origin.source,
        user_id=origin.user_label,
        at=format_timestamp(origin.at),
        actor=origin.actor,
        cost_schedule=portfolio.get_schedule(exchange),
        broker=portfolio.broker,
    )


def build_order(
    context: BatchContext,
    origin: CommandOrigin,
    portfolio_key: PortfolioKey,
    ticket: Ticket,
    links: OrderLinks = NO_LINKS,
) -> Order:
    """Return the order of a ticket, not stored yet. Raises Invalid for an auction that its venue lacks."""
    placement = build_placement(context, origin, portfolio_key, ticket.symbol)
    order_id = context.services.order_ids.generate(origin.tenant_id, origin.at)
    quantity = resolve_quantity(context, origin.tenant_id, ticket)
    return set_session_end(context, build_order_from_ticket(order_id, placement, ticket, quantity, links))


def store_held_order(context: BatchContext, order: Order) -> None:
    """Store a new order that is released later."""
    stored_order = context.order_store.add(order, order.placed_by)
    context.order_store.change_status(
        stored_order, Status.HELD, stored_order.created_at, stored_order.placed_by
    )


def _submit_pair(context: BatchContext, first: Order, second: Order) -> None:
    """Submit both orders of an OCO pair. If one needs an approval, both wait for it."""
    if any(find_required_request(context, order) for order in (first, second)):
        for order in (first, second):
            request = find_required_request(context, order, is_covered=True)
            assert request is not None  # noqa: S101  # for the type checker
            await_approval(context, order, request)
        return
    send_pair(context, first, second)


def send_pair(context: BatchContext, *orders: Order) -> None:
    """Send orders that share one quantity. Skip orders that a fill of an earlier one has canceled.

    The limit order of an emulated pair is HELD while the stop works at the broker.
    """
    for order in sort_pairs(context, orders):
        current_order = context.order_store.get(order.tenant_id, order.id)
        instrument = context.find_instrument(order.tenant_id, order.symbol)
        if (
            current_order.status is Status.INITIALIZED
            and len(orders) > 1
            and is_emulated_limit_order(current_order, instrument)
        ):
            context.order_store.change_status(
                current_order, Status.HELD, current_order.created_at, current_order.placed_by
            )
        elif current_order.status is Status.INITIALIZED:
            send_order(context, current_order)


def cancel_unsent(context: BatchContext, orders: list[Order], at: Timestamp) -> None:
    """Cancel the orders of a group that are not sent, because another of them was denied."""
    for order in orders:
        current = context.order_store.get(order.tenant_id, order.id)
        if current.status is Status.INITIALIZED:
            finalize_order(
                context,
                current,
                Status.CANCELED,
                at,
                RISK_ACTOR,
                reason="The other order of the group was denied.",
            )


EXTERNAL = "external"  # the source of an adopted order


def adopt_order(context: BatchContext, command: AdoptOrder) -> OrderResult:
    """Store the order as accepted by its broker. An order that is adopted already does not change.

    It keeps the broker's id, so that the broker's events and fills find the order. No risk check
    runs, because it works already; it counts from now on. Raises NoSuchPortfolio and NotAtBroker.
    """
    origin, ticket = command.origin, command.ticket
    tenant_id, at = origin.tenant_id, format_timestamp(origin.at)
    portfolio_key = context.get_portfolio_key(command)
    if context.order_store.find(tenant_id, command.order_id) is not None:
        return build_result(context, tenant_id, [command.order_id])
    placement = build_placement(context, origin, portfolio_key, ticket.symbol)._replace(source=EXTERNAL)
    if placement.broker == PAPER:
        raise NotAtBroker(command.portfolio_name)
    assert ticket.quantity is not None  # noqa: S101  # the broker's orders have one
    order = store_order(
        context, build_order_from_ticket(command.order_id, placement, ticket, ticket.quantity)
    )
    sent = context.order_store.change_status(order, Status.SUBMITTED, at, order.placed_by)
    context.order_store.change_status(sent, Status.ACCEPTED, at, order.broker, accepted_at=at)
    return build_result(context, tenant_id, [order.id])
