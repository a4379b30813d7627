"""Find out whether a batch was committed after the response to its COMMIT was lost.

A batch is committed as a whole, so one of its rows decides.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.group_commit import CommitCheck
from app.instruments.rules import InstrumentKey
from app.ledger.service import recording
from app.market_data.queries import find_quotes
from app.market_data.rules.values import Quote
from app.orders.queries.book import is_event_recorded
from app.orders.service.batch_context import BatchContext


def build_commit_check(
    context: BatchContext, outcomes: Sequence[object], arrived: Sequence[tuple[int, Quote]]
) -> CommitCheck:
    """Return a function that checks whether the batch was committed.

    It looks for one row that the batch wrote: a row of an order's history, else a trade, else a signal, else
    a quote.
    `arrived` are the stored quotes (tenant id, quote).
    """
    event = context.order_store.commit_marker
    if event is not None:
        return lambda connection: is_event_recorded(set_tenant_scope(connection, [event.tenant_id]), event)
    trade_check = recording.build_commit_check(outcomes)
    if trade_check is not None:
        return trade_check
    signal_check = context.signals.find_commit_check() if context.signals else None
    if signal_check is not None:
        return signal_check
    if arrived:
        tenant_id, quote = arrived[-1]
        return lambda connection: _is_stored(set_tenant_scope(connection, [tenant_id]), tenant_id, quote)
    return lambda _: True  # nothing was written that an outcome depends on


def _is_stored(connection: Connection, tenant_id: int, quote: Quote) -> bool:
    """Return whether the quote, or a newer one, is stored."""
    key = InstrumentKey(tenant_id, quote.symbol)
    found = find_quotes(connection, [key]).get(key)
    return found is not None and (found == quote or found.at > quote.at)
