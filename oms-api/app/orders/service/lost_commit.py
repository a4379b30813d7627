"""After a COMMIT whose answer was lost: does the batch stand? One row of it tells, for all stand or none."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from app.ledger.queries.books import trades_by_id
from app.ledger.service.commands import Recorded
from app.market_data.queries import quotes_of
from app.market_data.rules.values import Quote
from app.orders.queries.book import is_move_recorded
from app.orders.service.batch_context import BatchContext

CommitCheck = Callable[[Connection], bool]


def build_commit_check(
    context: BatchContext, outcomes: Sequence[object], arrived: Sequence[tuple[int, Quote]]
) -> CommitCheck:
    """Return what tells whether a batch stands that did `outcomes` and stores the quotes that `arrived`
    (tenant id, quote): by a move of an order, else a row of the ledger, else a quote.
    """
    move = context.commit_marker
    if move is not None:
        return lambda connection: is_move_recorded(connection, *move)
    for outcome in outcomes:
        if isinstance(outcome, Recorded) and not outcome.replayed:
            trade = (outcome.row.tenant_id, outcome.row.trade_id)
            return lambda connection: bool(trades_by_id(connection, [trade]))
    if arrived:
        tenant_id, quote = arrived[-1]
        return lambda connection: _is_stored(connection, tenant_id, quote)
    return lambda _: True  # nothing was written that anybody is told of


def _is_stored(connection: Connection, tenant_id: int, quote: Quote) -> bool:
    """Tell whether the quote was stored; a newer one may have taken its place since."""
    found = quotes_of(connection, [(tenant_id, quote.symbol)]).get((tenant_id, quote.symbol))
    return found is not None and (found == quote or found.at > quote.at)
