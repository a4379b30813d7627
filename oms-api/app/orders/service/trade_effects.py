"""What trades that are reported or reversed do to the orders of their position: exits never outlast it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from app.ledger.service.batch import Batch
from app.ledger.service.commands import Recorded
from app.orders.queries.book import open_orders_of
from app.orders.rules.contingency import reduction_of
from app.orders.service.batch_context import BatchContext, BatchServices
from app.orders.service.exit_quantities import yield_to


def yield_to_trades(tools: BatchServices, batch: Batch, outcomes: Sequence[object]) -> None:
    """Cut the exits of positions that a batch of the ledger alone, which is written already, reduced."""
    reduced = [one for one in outcomes if isinstance(one, Recorded) and _may_concern_orders(batch, one)]
    if not reduced:
        return
    now = max(datetime.fromisoformat(one.row.created_at) for one in reduced)
    context = BatchContext(batch, tools, now)
    for recorded in _with_open_orders(context, reduced):
        yield_to_trade(context, recorded)
    context.flush()
    context.remember()


def yield_to_trade(context: BatchContext, recorded: Recorded) -> None:
    """Cut the exits of the position that a trade or a reversal reduced to what is left of it."""
    row = recorded.row
    if not _may_concern_orders(context.batch, recorded):
        return
    place = (row.tenant_id, row.portfolio_id)
    if place not in context.order_store.places:
        context.batch.flush()  # what is loaded next is read from the database
        context.load([place], [])
    yield_to(context, row, row.created_at)


def _may_concern_orders(batch: Batch, recorded: Recorded) -> bool:
    """Tell whether a trade took something off a position of a portfolio that has had orders."""
    row = recorded.row
    if recorded.replayed or not batch.books.portfolio(row.tenant_id, row.portfolio_id).orders_stamp:
        return False
    return reduction_of(Decimal(row.position_quantity), Decimal(row.quantity_delta)) is not None


def _with_open_orders(context: BatchContext, reduced: Iterable[Recorded]) -> list[Recorded]:
    found = []
    for one in reduced:
        place = (one.row.tenant_id, one.row.portfolio_id)
        stamp = context.books.portfolio(*place).orders_stamp
        known = context.tools.open_orders.get(place, stamp)
        if known is not None:
            has_orders = bool(known.by_symbol.get(one.row.symbol))
        else:
            has_orders = bool(open_orders_of(context.connection, place, one.row.symbol))
        if has_orders:
            found.append(one)
    return found
