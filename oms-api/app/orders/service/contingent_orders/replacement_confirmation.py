"""Replace an order by its successor once the broker has confirmed the replacement."""

from datetime import datetime

import orjson

from app.brokers.rules.linked_orders import OcoSupport
from app.brokers.rules.values import Replaced
from app.orders.errors import InvalidTransition
from app.orders.rules.broker_requests import get_oco_support, is_remote
from app.orders.rules.contingency import OCO_ROLES, list_siblings, reduce_successor
from app.orders.rules.order_factory import copy_order
from app.orders.rules.rows import parse_order_row
from app.orders.rules.states import get_resting_status
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, Order, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import list_history, load_broker_requests
from app.orders.service.broker.broker_orders import adopt_children, request_cancel, request_replacement
from app.orders.service.broker.order_pairs import RESIZED, list_cancel_requests, was_sent_with_entry
from app.orders.service.contingent_orders.groups import GROUP_ACTOR, cancel_order
from app.timestamps import Timestamp

_RESTING_STATUSES = WORKING_STATUSES - {Status.PENDING_CANCEL, Status.PENDING_REPLACE}


def confirm_replacement(context: BatchContext, order: Order, event: Replaced, at: Timestamp) -> None:
    """Replace an order by its successor, after its broker has confirmed the replacement.

    If a cancel of the order was requested meanwhile, it is requested again for the successor. Actor and
    reason stay the same, because the handling of an ended exit depends on them. A broker that had reduced the
    order before it applied the replacement works too much: the reduced quantity is requested again.
    """
    if order.status is Status.REPLACED:
        return
    if order.status in FINAL_STATUSES:
        raise InvalidTransition(order.id, order.status, Status.REPLACED)
    successor = _find_requested_successor(context, order, event.successor_id)
    successor = reduce_successor(order, successor, list_history(context, order), GROUP_ACTOR)
    is_cancelled = order.status is Status.PENDING_CANCEL  # requested during the replacement
    if is_cancelled:
        is_accepted = order.accepted_at is not None
        resting_status = get_resting_status(
            order.filled_quantity, is_triggered=order.is_triggered, is_accepted=is_accepted
        )
        order = context.order_store.change_status(order, resting_status, at, order.broker)
    if order.status is not Status.PENDING_REPLACE:
        order = context.order_store.change_status(order, Status.PENDING_REPLACE, at, order.broker)
    context.order_store.change_status(order, Status.REPLACED, at, order.broker, replaced_by=successor.id)
    adopt_children(context, order, successor)
    added_order = context.order_store.add(_carry_fills(order, successor, at), successor.placed_by)
    submitted_order = context.order_store.change_status(
        added_order, Status.SUBMITTED, at, added_order.placed_by
    )
    resting_status = get_resting_status(
        submitted_order.filled_quantity, is_triggered=submitted_order.is_triggered
    )
    working_order = context.order_store.change_status(
        submitted_order, resting_status, at, submitted_order.broker, accepted_at=at
    )
    if is_cancelled:
        cancel_request = list_cancel_requests(context, order)[-1]
        request_cancel(context, working_order, at, cancel_request.actor, reason=cancel_request.reason)
    elif event.quantity is not None and event.quantity > working_order.quantity:
        _request_reduction(context, working_order, at)


def _find_requested_successor(context: BatchContext, order: Order, successor_id: str) -> Order:
    for request in load_broker_requests(context, order):
        if request.successor_id == successor_id and request.successor is not None:
            return parse_order_row(orjson.loads(request.successor))
    raise InvalidTransition(order.id, order.status, Status.REPLACED)


def _carry_fills(order: Order, successor: Order, at: Timestamp) -> Order:
    """Return the successor with the filled quantity and value of the order that it replaces."""
    return successor._replace(
        filled_quantity=order.filled_quantity,
        filled_value=order.filled_value,
        carried_quantity=order.filled_quantity,
        carried_value=order.filled_value,
        is_triggered=successor.is_triggered or order.is_triggered,
        status=Status.INITIALIZED,
        created_at=at,
        updated_at=at,
    )


def confirm_reductions(
    context: BatchContext, filled_order: Order, executed_at: datetime, at: Timestamp
) -> None:
    """Request the reduced quantity again for siblings that the broker accepted after a fill reduced them.

    A broker that links orders reduces the sibling when one of them fills. If a replacement of the sibling was
    applied after that fill, it restored the old quantity: the reduced quantity is requested again. If the
    sibling is a new order that the broker received after that fill, it has the old quantity: it is canceled,
    and sent again with its unfilled quantity.
    """
    if not is_remote(filled_order) or filled_order.role not in OCO_ROLES:
        return
    instrument = context.find_instrument(filled_order.tenant_id, filled_order.symbol)
    if get_oco_support(filled_order, instrument) is not OcoSupport.NATIVE:
        return
    for sibling in list_siblings(
        filled_order,
        context.order_store.list_open_orders_of_symbol(filled_order.portfolio_key, filled_order.symbol),
    ):
        if sibling.status not in _RESTING_STATUSES or executed_at > datetime.fromisoformat(
            sibling.accepted_at or at
        ):
            continue
        if sibling.replaces is None and not was_sent_with_entry(context, sibling):
            cancel_order(context, sibling, at, GROUP_ACTOR, reason=RESIZED)
        elif sibling.replaces is not None and sibling.accepted_at is not None:
            _request_reduction(context, sibling, at)


def _request_reduction(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Request a replacement with the order's own quantity, because the broker works a larger one."""
    order_id = context.services.order_ids.generate(order.tenant_id, datetime.fromisoformat(at), order.id)
    successor = copy_order(
        order,
        order_id,
        at,
        carried_quantity=order.filled_quantity,
        carried_value=order.filled_value,
        replaces=order.id,
        request_hash=None,
    )
    request_replacement(context, order, successor, at, GROUP_ACTOR, None)
