"""Send exits that were sent in one request again, after the broker has ended them.

A broker that got exits in one request ends all of them with the first that is canceled. They are sent again
together, for the remaining quantity.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from app.brokers.rules.linked_orders import STOPS
from app.money import ZERO
from app.orders.rules.contingency import compute_exit_quantity, list_latest_exits
from app.orders.rules.exit_prices import find_triggering_price, get_trigger_price
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, Order, Role, Status, TimeInForce
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker.order_pairs import (
    RESIZED,
    find_resend_reason,
    list_cancel_requests,
    was_cancel_requested,
    was_sent_with_entry,
)
from app.orders.service.contingent_orders.exit_restoration import add_exits
from app.orders.service.contingent_orders.groups import (
    GROUP_ACTOR,
    cancel_order,
    finalize_order,
    get_closable_quantity,
)
from app.timestamps import Timestamp

_MIN_WORKING_TIME = timedelta(minutes=1)  # so that an exit that its broker cancels at once is not sent again
_NOT_SENT = "The other order of the pair ended before the broker had both."
_STOP_REACHED = "The market reached the stop before the entry had filled completely."


def apply_end_to_exits_sent_together(context: BatchContext, ended_exit: Order, at: Timestamp) -> None:
    """Send exits again, or cancel the exits that were not sent, after the broker has ended one of them.

    Exits that the broker got with their entry are sent again once the entry has ended too, because only then
    the quantity that they close is known.
    """
    exits = list_latest_exits(context.order_store.list_group(ended_exit))
    unsent = [
        exit_order
        for exit_order in exits
        if exit_order.status in WORKING_STATUSES and not exit_order.filled_quantity
    ]
    is_unsent = ended_exit.role is Role.TAKE_PROFIT and ended_exit.accepted_at is None
    if unsent and is_unsent and not was_sent_with_entry(context, ended_exit):
        for order in unsent:
            finalize_order(context, order, Status.CANCELED, at, GROUP_ACTOR, reason=_NOT_SENT)
        return
    if (
        any(exit_order.status not in FINAL_STATUSES for exit_order in exits)
        or ended_exit.status is Status.FILLED
    ):
        return
    if was_sent_with_entry(context, ended_exit) and _has_open_entry(context, ended_exit):
        return
    exits_to_resend = [exit_order for exit_order in exits if not _was_canceled_by_person(context, exit_order)]
    if len(exits_to_resend) < len(exits) or any(_must_resend(context, exit_order) for exit_order in exits):
        is_held = ended_exit.status is Status.EXPIRED
        add_exits(
            context,
            exits_to_resend,
            _compute_remaining_quantity(context, exits),
            at,
            f"{ended_exit.id} ended",
            is_held=is_held,
        )


def restore_exits_sent_with_entry(context: BatchContext, entry: Order, at: Timestamp) -> None:
    """Send the exits of a partly filled entry again, if its broker has ended them with the entry."""
    exits = [
        child for child in context.order_store.list_children(entry) if was_sent_with_entry(context, child)
    ]
    if exits and entry.filled_quantity:
        apply_end_to_exits_sent_together(context, exits[-1], at)


def cancel_entry_at_stop(context: BatchContext, exit_order: Order, at: Timestamp) -> None:
    """Cancel an open entry if the market has reached the stop that its broker holds with it.

    The broker ends the exits with the entry. They are sent again for the filled quantity.
    """
    entry = context.order_store.find_parent(exit_order)
    prices = context.find_symbol_state(exit_order.tenant_id, exit_order.symbol).prices
    price = get_trigger_price(exit_order, prices)
    is_reached = price is not None and find_triggering_price(exit_order, [price]) is not None
    if entry is not None and entry.status in WORKING_STATUSES and exit_order.type in STOPS and is_reached:
        cancel_order(context, entry, at, GROUP_ACTOR, reason=_STOP_REACHED)


def _has_open_entry(context: BatchContext, exit_order: Order) -> bool:
    entry = context.order_store.find_parent(exit_order)
    return entry is not None and entry.status not in FINAL_STATUSES


def _was_canceled_by_person(context: BatchContext, order: Order) -> bool:
    return any(event.actor != GROUP_ACTOR for event in list_cancel_requests(context, order))


def _must_resend(context: BatchContext, ended_exit: Order) -> bool:
    """Return whether an exit is sent again, because of the reason for which it ended."""
    entry = context.order_store.find_parent(ended_exit)
    if (
        entry is not None
        and entry.status in FINAL_STATUSES - {Status.FILLED}
        and was_sent_with_entry(context, ended_exit)
    ):
        return True  # the entry ended partly filled
    if find_resend_reason(context, ended_exit) == RESIZED:
        return True
    return ended_exit.time_in_force is TimeInForce.GTC and _ended_with_entry_day(context, ended_exit)


def _ended_with_entry_day(context: BatchContext, ended_exit: Order) -> bool:
    """Return whether a broker ended an exit with the trading day of its DAY entry, or expired the exit."""
    if ended_exit.status is Status.EXPIRED:
        return True
    entry = context.order_store.find_parent(ended_exit)
    if (
        entry is None
        or entry.time_in_force is not TimeInForce.DAY
        or was_cancel_requested(context, ended_exit)
    ):
        return False
    working_time = context.now - datetime.fromisoformat(ended_exit.accepted_at or ended_exit.created_at)
    return working_time >= _MIN_WORKING_TIME and was_sent_with_entry(context, ended_exit)


def _compute_remaining_quantity(context: BatchContext, exits: Sequence[Order]) -> Decimal:
    """Return the quantity that remains to be closed after exits have ended."""
    unfilled_quantity = min(exit_order.quantity - exit_order.filled_quantity for exit_order in exits)
    entry = context.order_store.find_parent(exits[0])
    if entry is not None:
        unfilled_quantity = min(
            unfilled_quantity, compute_exit_quantity(entry, context.order_store.list_children(entry))
        )
    return max(min(unfilled_quantity, get_closable_quantity(context, exits[0])), ZERO)
