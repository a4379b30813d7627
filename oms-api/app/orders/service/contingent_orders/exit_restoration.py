"""Restore the exits of a position when a bust, a correction or a reversal undoes a reduction of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from app.ledger.rules.chain import TradeRow
from app.ledger.rules.keys import PositionKey
from app.money import ZERO, format_plain_amount
from app.orders.queries.orders import list_recent_exits
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.contingency import (
    EXIT_ROLES,
    compute_exit_quantity,
    compute_reopened_quantity,
    find_reduction,
)
from app.orders.rules.order_factory import copy_order
from app.orders.rules.values import FINAL_STATUSES, OPEN_STATUSES, WORKING_STATUSES, Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import list_history
from app.orders.service.broker.order_pairs import must_wait_for_swap, sort_pairs
from app.orders.service.contingent_orders.groups import GROUP_ACTOR, release_order
from app.timestamps import Timestamp

_INEFFECTIVE_STATUSES = frozenset({Status.REPLACED, Status.DENIED})  # a denied replacement left its exit open
_FILLED_AMOUNT_FIELDS = ("filled_quantity", "filled_value", "carried_quantity", "carried_value")


class ReversedReduction(NamedTuple):
    """A reduction of a position that was undone, completely or in part.

    `quantity` is the quantity undone, `since` the time when the reduction was booked. With `group_id`, only
    the exits of that group are restored.
    """

    position_key: PositionKey
    quantity: Decimal
    since: Timestamp
    reason: str
    group_id: str | None = None


def find_reversed_reduction(original: TradeRow, row: TradeRow, reason: str) -> ReversedReduction | None:
    """Return the part of the reduction by `original` that `row` undid, None if it undid nothing."""
    delta = Decimal(row.quantity_delta)
    reduction = find_reduction(Decimal(original.position_quantity), Decimal(original.quantity_delta))
    quantity = compute_reopened_quantity(Decimal(row.position_quantity), delta)
    if reduction is None or not quantity:
        return None
    return ReversedReduction(original.position_key, quantity, original.created_at, reason)


def restore_exits(context: BatchContext, reversed_reduction: ReversedReduction, at: Timestamp) -> list[Order]:
    """Restore the exits that the reduction filled, reduced or canceled.

    Open exits become larger; at a broker, further exits are placed instead. An exit that has ended gets a
    successor of the same group and terms, because an ended order cannot be reopened. An exit that a person
    canceled stays canceled.

    Return the exits that were changed or placed.
    """
    position_quantity = context.ledger.get_position(reversed_reduction.position_key).quantity
    groups = _group_last_exits(context, reversed_reduction, "SELL" if position_quantity > 0 else "BUY")
    covered = {name: _compute_covered_quantity(exits) for name, exits in groups.items()}
    uncovered_quantity = abs(position_quantity) - sum(covered.values(), ZERO)
    restorable_quantity = reversed_reduction.quantity
    restored_exits: list[Order] = []
    for name, exits in groups.items():
        target = covered[name] + min(max(uncovered_quantity, ZERO), restorable_quantity)
        entry = context.order_store.find_parent(exits[0])
        if entry is not None:
            target = min(target, compute_exit_quantity(entry, context.order_store.list_children(entry)))
        if target > covered[name]:
            uncovered_quantity -= target - covered[name]
            restorable_quantity -= target - covered[name]
            if is_remote(exits[0]):  # the quantity of an order at a broker does not grow
                exits_to_copy = [
                    exit_order
                    for exit_order in exits
                    if exit_order.status in OPEN_STATUSES or was_ended_by_group(context, exit_order)
                ]
                growth = target - covered[name]
                restored_exits += add_exits(context, exits_to_copy, growth, at, reversed_reduction.reason)
                continue
            restored_orders = (
                _restore_exit(context, exit_order, target, reversed_reduction, at) for exit_order in exits
            )
            restored_exits += [exit_order for exit_order in restored_orders if exit_order is not None]
    return restored_exits


def _group_last_exits(
    context: BatchContext, reversed_reduction: ReversedReduction, side: str
) -> dict[str, list[Order]]:
    """Return by group the last exit of each role, as this batch sees them, the newest group first."""
    store = context.order_store
    recent = load_recent_exits(context, reversed_reduction.position_key, reversed_reduction.since)
    orders_by_id = {order.id: store.get_current(order) for order in [*recent, *store.created]}
    exits_by_group: dict[str, dict[Role | None, Order]] = {}
    for order in sorted(orders_by_id.values(), key=lambda order: order.id):
        is_exit = order.role in EXIT_ROLES and order.position_key == reversed_reduction.position_key
        if is_exit and order.side == side and order.status not in _INEFFECTIVE_STATUSES:
            exits_by_group.setdefault(order.group_id or order.id, {})[order.role] = order
    names = (
        sorted(exits_by_group, reverse=True)
        if reversed_reduction.group_id is None
        else exits_by_group.keys() & {reversed_reduction.group_id}
    )
    return {name: list(exits_by_group[name].values()) for name in names}


def load_recent_exits(context: BatchContext, key: PositionKey, since: Timestamp) -> list[Order]:
    """Load the exits of a position that are open or changed at `since` or later, and return them."""
    recent_exits = context.loaded.recent_exits.get((key, since))
    if recent_exits is None:
        recent_exits = context.loaded.recent_exits[key, since] = list_recent_exits(
            context.connection, key, since
        )
        context.order_store.add_loaded(recent_exits)
    return recent_exits


def _compute_covered_quantity(exits: Iterable[Order]) -> Decimal:
    """Return the quantity that all working exits of a group protect."""
    return min(
        (exit_order.leaves_quantity for exit_order in exits if exit_order.status in WORKING_STATUSES),
        default=ZERO,
    )


def _restore_exit(
    context: BatchContext,
    exit_order: Order,
    target: Decimal,
    reversed_reduction: ReversedReduction,
    at: Timestamp,
) -> Order | None:
    """Return the exit with `target` left to fill, None if it is not to be restored."""
    if exit_order.status in WORKING_STATUSES:
        size = exit_order.filled_quantity + target
        if size <= exit_order.quantity:
            return exit_order
        reason = f"{reversed_reduction.reason}: quantity increased to {format_plain_amount(size)}"
        return context.order_store.record_change(
            exit_order, at, GROUP_ACTOR, quantity=size, accepted_at=at, reason=reason
        )
    if exit_order.status not in FINAL_STATUSES or not was_ended_by_group(context, exit_order):
        return None
    successor = copy_exit(context, exit_order, target, at)
    reason = f"{reversed_reduction.reason}: continues {exit_order.id}"
    added_exit = context.order_store.add(successor, successor.placed_by, reason)
    return release_order(context, added_exit, at)


def copy_exit(context: BatchContext, exit_order: Order, quantity: Decimal, at: Timestamp) -> Order:
    """Return a new order with the terms of an exit, not stored yet."""
    order_id = context.services.order_ids.generate(
        exit_order.tenant_id, datetime.fromisoformat(at), exit_order.id
    )
    fields: dict[str, Any] = {"is_triggered": False, "request_hash": None, "replaces": None}
    fields |= dict.fromkeys(_FILLED_AMOUNT_FIELDS, ZERO)
    return copy_order(exit_order, order_id, at, quantity=quantity, **fields)


def add_exits(
    context: BatchContext,
    exits: Sequence[Order],
    quantity: Decimal,
    at: Timestamp,
    reason: str,
    *,
    is_held: bool = False,
) -> list[Order]:
    """Place exits at a broker with the terms of `exits` as a separate pair, and send them.

    If `is_held`, they are sent with the next quote.
    """
    if quantity <= ZERO:
        return []
    group_id: str | None = None
    added_exits: list[Order] = []
    for exit_order in exits:
        copied = copy_exit(context, exit_order, quantity, at)
        group_id = group_id or copied.id
        copied = copied._replace(group_id=group_id)
        added_exits.append(
            context.order_store.add(copied, copied.placed_by, f"{reason}: continues {exit_order.id}")
        )
    if is_held:
        for added_exit in added_exits:
            context.order_store.change_status(added_exit, Status.HELD, at, GROUP_ACTOR)
    else:
        send_exits(context, added_exits, at)
    return added_exits


def send_exits(context: BatchContext, orders: Sequence[Order], at: Timestamp) -> None:
    """Send exits to their broker. An exit of an emulated pair that the service watches is HELD."""
    for stale_order in sort_pairs(context, orders):
        order = context.order_store.get_current(stale_order)
        if order.status in {Status.INITIALIZED, Status.HELD} and not must_wait_for_swap(context, order):
            release_order(context, order, at)
        elif order.status is Status.INITIALIZED:
            context.order_store.change_status(order, Status.HELD, at, GROUP_ACTOR)


def was_ended_by_group(context: BatchContext, exit_order: Order) -> bool:
    """Return whether a fill ended the exit: its own, or a fill that closed the position."""
    if exit_order.status is Status.FILLED:
        return True
    if exit_order.status is not Status.CANCELED:
        return False
    history = list_history(context, exit_order)
    return any(
        event.actor == GROUP_ACTOR
        and event.to_status in {Status.PENDING_CANCEL, Status.CANCELED}
        and event.to_status != event.from_status
        for event in history
    )
