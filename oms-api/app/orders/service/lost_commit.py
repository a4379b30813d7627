"""After a COMMIT whose answer was lost: does the batch stand? One row of it tells, for all stand or none."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from app.ledger.queries.books import trades_by_id
from app.ledger.service.commands import Recorded
from app.market_data.queries import find_quotes
from app.market_data.rules.values import Quote
from app.orders.queries.book import move_stands
from app.orders.service.batch_context import BatchContext

Proof = Callable[[Connection], bool]


def proof_of(
    context: BatchContext, outcomes: Sequence[object], arrived: Sequence[tuple[int, Quote]]
) -> Proof:
    """Return what tells whether a batch stands that did `outcomes` and stores the quotes that `arrived`
    (tenant id, quote): by a move of an order, else a row of the ledger, else a quote.
    """
    move = context.proof
    if move is not None:
        return lambda connection: move_stands(connection, *move)
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
    found = find_quotes(connection, [(tenant_id, quote.symbol)]).get((tenant_id, quote.symbol))
    return found is not None and (found == quote or found.at > quote.at)
