"""Why an order of a pair at a broker was canceled by its group, and which one waits for its quote."""

from collections.abc import Sequence

from app.orders.rules.broker_requests import is_remote, is_watched
from app.orders.rules.contingency import find_siblings
from app.orders.rules.protection import sort_pairs_for_sending
from app.orders.rules.rows import OrderEvent
from app.orders.rules.values import Order, Status
from app.orders.service.batch.batch_context import BatchContext
from app.orders.service.batch.order_records import list_history

SWAPPED = "The market reached the other order of the pair, which is sent in its place."
WITHDRAWN = "The market left the limit: the stop of the pair is sent in its place."
RESIZED = "The order is sent again with its new quantity."
REASONS = frozenset({SWAPPED, WITHDRAWN, RESIZED})


def find_cancel_reason(context: BatchContext, order: Order) -> str | None:
    """Return the one of the reasons above for which an order was last canceled, None for any other."""
    requests = list_cancel_requests(context, order)
    return requests[-1].reason if requests and requests[-1].reason in REASONS else None


def was_cancel_requested(context: BatchContext, order: Order) -> bool:
    """Return whether anybody asked the broker to cancel an order."""
    return bool(list_cancel_requests(context, order))


def is_watched_order(context: BatchContext, order: Order) -> bool:
    """Return whether we watch the price of an order, while the other one of its pair rests at the broker."""
    if not is_watched(order, context.find_instrument(order.tenant_id, order.symbol)):
        return False
    return bool(
        find_siblings(
            order, context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
        )
    )


def waits_for_quote(context: BatchContext, order: Order) -> bool:
    """Return whether an order is HELD because we watch its price."""
    return order.status is Status.HELD and is_watched_order(context, order)


def sort_pairs(context: BatchContext, orders: Sequence[Order]) -> list[Order]:
    """Return orders of one symbol as they are sent, of a pair the one that the market has reached last.

    The paper market gets them as they are.
    """
    if not any(is_remote(order) for order in orders):
        return list(orders)
    prices = context.find_symbol_state(orders[0].tenant_id, orders[0].symbol).prices
    return sort_pairs_for_sending(orders, prices)


def list_cancel_requests(context: BatchContext, order: Order) -> list[OrderEvent]:
    """Return the changes in the history of an order by which its cancel was requested, oldest first.

    Changes of an order whose cancel is pending, such as a part that fills, are left out.
    """
    history = list_history(context, order)
    return [event for event in history if event.to_status == Status.PENDING_CANCEL != event.from_status]
