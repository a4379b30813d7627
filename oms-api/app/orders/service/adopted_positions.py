"""Reverse the adoption of a position that contained what a broker reports only now.

An adoption makes our position equal to the broker's. A fill or a bust from before it, which is booked after
it, would count twice. Where the adoption contained more than that, the next comparison shows the rest.
"""

import logging
from datetime import datetime, timedelta

from app.errors import Conflict
from app.ledger.queries.reversals import find_adoption
from app.ledger.service.commands import Origin
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.values import Order
from app.orders.service.batch_context import BatchContext
from app.orders.service.busts import append_reversal
from app.orders.service.exit_quantities import reduce_competing_orders
from app.timestamps import Timestamp

_PROMPT = timedelta(seconds=2)  # no position is adopted so soon after a fill
_LOG = logging.getLogger(__name__)


def reverse_adoption(
    context: BatchContext, order: Order, reported_at: datetime, at: Timestamp, execution_id: str
) -> None:
    """Reverse the adoption that contained an execution, or its bust, which is booked now.

    `reported_at` is the broker's time of it. An adoption that cannot be reversed stays: the next comparison
    finds that the quantities differ.
    """
    now = datetime.fromisoformat(at)
    if not is_remote(order) or now - reported_at < _PROMPT:
        return
    context.ledger.flush()
    found = find_adoption(context.connection, order.tenant_id, order.portfolio_id, order.symbol, reported_at)
    if found is None:
        return
    origin = Origin(order.tenant_id, order.broker, None, now, None, None, order.broker)
    reason = f"The adopted position contained {execution_id}, which is booked now."
    try:
        reversal = append_reversal(context, origin, found, reason)
    except Conflict as refusal:
        _LOG.warning("the adoption %s was not reversed: %s", found.trade_id, refusal.detail)
        return
    context.order_store.dirty.setdefault(reversal.portfolio_key, set()).add(reversal.holding_key)
    reduce_competing_orders(context, reversal, at)
