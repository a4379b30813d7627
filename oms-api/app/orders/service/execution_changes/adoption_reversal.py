"""Reverse adoptions that contain an execution which is booked later.

An adoption books the difference to the broker's position. If an execution from before an adoption is booked
afterwards, the position would contain it twice, so the adoption is reversed. The next comparison with the
broker finds any remaining difference.
"""

import logging
from datetime import datetime, timedelta

from app.errors import Conflict
from app.ledger.queries.reversals import find_adoption
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.keys import is_adoption_key
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.reversals import load_reversed_trades
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.contingent_orders.exit_quantities import reduce_competing_orders
from app.orders.service.execution_changes.trade_reversal import append_reversal
from app.timestamps import Timestamp

_MIN_ADOPTION_DELAY = timedelta(seconds=2)  # no position is adopted so soon after a fill
_LOG = logging.getLogger(__name__)


def load_adoption(
    context: BatchContext, order: Order, reported_at: datetime, at: Timestamp
) -> TradeRow | None:
    """Load the adoption that contains an execution of `reported_at`, with the inputs of its reversal.

    Return None if there is none, for the paper market, and for an execution that was reported just now.
    """
    if not is_remote(order) or datetime.fromisoformat(at) - reported_at < _MIN_ADOPTION_DELAY:
        return None
    key = (order.portfolio_key, order.symbol, reported_at)
    adoptions = context.loaded.adopted_trades
    ledger = context.ledger
    adoption = adoptions.get(key)
    new_keys = [row.idempotency_key for row in ledger.list_new_trades(order.position_key)]
    is_reversed = adoption is not None and adoption.trade_key in ledger.reversals
    if key not in adoptions or is_reversed or any(map(is_adoption_key, new_keys)):
        ledger.flush()  # so that the query also reads the rows of this batch
        adoption = adoptions[key] = find_adoption(context.connection, *order.portfolio_key, *key[1:])
        load_reversed_trades(ledger, [] if adoption is None else [adoption.trade_key])
    return adoption


def reverse_adoption(
    context: BatchContext, order: Order, reported_at: datetime, at: Timestamp, execution_id: str
) -> None:
    """Reverse the adoption that contains the execution `execution_id` or its bust, which is booked now.

    `reported_at` is the broker's time of the execution or of the bust. An adoption that cannot be reversed
    stays: the next comparison finds that the quantities differ.
    """
    adoption = load_adoption(context, order, reported_at, at)
    if adoption is None:
        return
    instant = datetime.fromisoformat(at)
    origin = CommandOrigin(order.tenant_id, order.broker, None, instant, None, None, order.broker)
    reason = f"The adopted position contained {execution_id}, which is booked now."
    try:
        reversal = append_reversal(context, origin, adoption, reason)
    except Conflict as error:
        _LOG.warning("the adoption %s was not reversed: %s", adoption.trade_id, error.detail)
        return
    context.order_store.positions_to_revalue.setdefault(reversal.portfolio_key, set()).add(
        reversal.symbol_product_key
    )
    reduce_competing_orders(context, reversal, at)
