"""Apply execution reports of a broker. Each execution counts once, whatever the order's status."""

from app.brokers.rules.values import (
    Accepted,
    Busted,
    Canceled,
    Executed,
    Expired,
    Lapsed,
    Refused,
    Rejected,
    Replaced,
    TrailMoved,
    Triggered,
)
from app.costs.errors import RateUnknown
from app.ledger.errors import BookIsFull, NoRate
from app.orders.errors import IllegalMove
from app.orders.queries import book as queries
from app.orders.rules.states import resting_status
from app.orders.rules.values import Order, Status
from app.orders.service.batch_context import BatchContext
from app.orders.service.commands import BrokerReport, Done
from app.orders.service.filling import book_fill
from app.orders.service.groups import close_order
from app.orders.service.matching import match_released_orders
from app.orders.service.order_entry import build_result
from app.orders.service.risk_evaluation import count_execution_for_latch

_PENDING = frozenset({Status.PENDING_CANCEL, Status.PENDING_REPLACE})


def apply_execution_report(context: BatchContext, command: BrokerReport) -> Done:
    """Apply a broker's event.

    An event that the table of states does not allow is noted and changes nothing else.
    """
    order = context.order_store.get(command.tenant_id, command.order_id)
    try:
        _apply(context, order, command)
        match_released_orders(context, command.at)
    except (IllegalMove, BookIsFull, NoRate, RateUnknown) as refusal:
        message = f"{type(command.event).__name__}: {refusal.detail}"
        context.order_store.note(order, command.at, order.broker, reason="not applied", broker_words=message)
    return build_result(context, order.tenant_id, [order.id])


def _apply(context: BatchContext, order: Order, command: BrokerReport) -> None:  # noqa: C901  # a table of events
    at, event, order_store = command.at, command.event, context.order_store
    match event:
        case Executed():
            if not _is_known(context, order, event):
                book_fill(context, order, event, at)
                count_execution_for_latch(context, order, at)
        case Accepted():
            order_store.move(order, Status.ACCEPTED, at, order.broker, accepted_at=at)
        case Triggered():
            order_store.move(order, Status.TRIGGERED, at, order.broker, is_triggered=True)
        case TrailMoved():
            order_store.replace(order, trail_level=event.level)
        case Canceled():
            close_order(context, order, Status.CANCELED, at, order.broker)
        case Lapsed():
            close_order(context, order, Status.CANCELED, at, order.broker, broker_words=event.reason)
        case Expired():
            close_order(context, order, Status.EXPIRED, at, order.broker)
        case Rejected():
            close_order(context, order, Status.REJECTED, at, order.broker, broker_words=event.reason)
        case Refused() if order.status in _PENDING:
            back = resting_status(order.filled_quantity, is_triggered=order.is_triggered)
            order_store.move(order, back, at, order.broker, broker_words=event.reason)
        case Refused():
            raise IllegalMove(order.id, order.status, "a refused request")
        case Replaced() | Busted():
            raise IllegalMove(
                order.id, order.status, Status.REPLACED
            )  # the paper broker replaces within the request


def _is_known(context: BatchContext, order: Order, event: Executed) -> bool:
    key = (order.tenant_id, order.broker, event.execution_id)
    unflushed = {(row.tenant_id, row.broker, row.execution_id) for row in context.order_store.executions}
    return key in unflushed or bool(queries.find_booked_executions(context.connection, [key]))
